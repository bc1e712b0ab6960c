"""What each role is told first, as it is, in files of this folder.

Write them anew with `python -m tests.agents.golden`, and read what changed.
"""
