"""What a stack's processes are forked from, started before its caller has imported anything else.

While the server imports what the processes need, the caller imports, checks and plans.
"""

from __future__ import annotations

import os

from multi_agent.runtime.forking.forked_processes import ForkedProcesses


def begin() -> ForkedProcesses:
    """Start it; see ForkedProcesses. The environment of each process is given when that starts."""
    return ForkedProcesses(os.environ)
