"""The interface for authors of agents: the task, the result, and the decorator that registers a class."""
