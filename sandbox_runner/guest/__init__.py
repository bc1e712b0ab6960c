"""What runs inside the sandbox, as its process 1: standard library only, no import from outside this folder.

The host sends these modules through standard input (see `engine/payload.py`), so no image and no mount has
to hold them and the two sides cannot be of different versions.
"""
