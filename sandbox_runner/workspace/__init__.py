"""Workspaces: a conversation with one sandbox that lives as long as a task, over a tree that Git gave."""
