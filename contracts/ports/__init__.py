"""The ports: what the core needs from the outside world. An adapter is whatever keeps the docstrings."""
