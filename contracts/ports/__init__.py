"""The ports: what the core needs from the outside world. An adapter is anything that keeps the docstring."""
