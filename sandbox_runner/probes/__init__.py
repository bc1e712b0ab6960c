"""Attempts to get out, to see or to use up what a sandbox must hold.

`quick` is one run that looks at many walls, `abuse` a run each of programs that misbehave. The self-test at
the start, `multi-agent sandbox test` and the test suite share them. Nothing here does harm where a wall is
missing: what may be written is opened and not written, and no address outside this machine is sent to.
"""
