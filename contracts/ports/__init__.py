"""The ports: what the core needs from the outside world.

An adapter is a class that does what the docstrings of its port say.
"""
