"""Starts what a stack's processes are forked from, while its caller imports, checks and plans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from multi_agent.runtime.forking.forked_processes import ForkedProcesses
from multi_agent.runtime.locks import FileLock
from multi_agent.settings import Settings, child_environment


@contextmanager
def forked_early(settings: Settings) -> Iterator[ForkedProcesses | None]:
    """What makes processes while the `with` body runs; None when the data folder is served already."""
    if any(FileLock(settings.data / name).held_by_other() for name in ("stack.lock", "orchestrator.lock")):
        yield None
        return
    forked = ForkedProcesses(child_environment(settings))
    try:
        yield forked
    finally:
        forked.close()
