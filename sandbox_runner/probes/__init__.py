"""Probes: attempts to leave a sandbox, to see more than allowed, or to use more than allowed.

`quick` checks many protections in one run. `abuse` runs programs that misbehave, each in a sandbox of its
own. The self-test at the start, `multi-agent sandbox test` and the test suite use both. No probe does harm if
a protection is missing: files are opened for writing but not written, and nothing is sent to another machine.
"""
