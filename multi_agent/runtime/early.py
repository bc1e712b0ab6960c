"""Whether a stack needs what its processes are forked from."""

from __future__ import annotations

from multi_agent.runtime.forking.forked_processes import ForkedProcesses
from multi_agent.runtime.locks import FileLock
from multi_agent.settings import Settings


def only_if_unserved(settings: Settings, forked: ForkedProcesses | None) -> ForkedProcesses | None:
    """What was started early; None, and it is closed, where the data folder is served already."""
    served = any(
        FileLock(settings.data / name).held_by_other() for name in ("stack.lock", "orchestrator.lock")
    )
    if served and forked is not None:
        forked.close()
        return None
    return forked
