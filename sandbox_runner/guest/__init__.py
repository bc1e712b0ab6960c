"""The guest: the program that runs as process 1 of the sandbox.

It uses the standard library only and imports nothing from outside this folder. The host sends these modules
through standard input (see `engine/payload.py`), so no image or mount has to contain them, and both sides
always have the same version.
"""
