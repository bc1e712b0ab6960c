"""Whether anybody serves a data folder or a database at this moment."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from multi_agent.bootstrap import host_name
from multi_agent.runtime.locks import FileLock
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from orchestrator.storage.sql.database import Database


async def is_served(settings: Settings, database: Database) -> bool:
    """Whether an orchestrator lives. Told at once but for other machines, where a renewal is waited for."""
    if settings.database_url is None:
        locks = (settings.data / name for name in ("orchestrator.lock", "stack.lock"))
        return any(FileLock(path).held_by_other() for path in locks)
    from orchestrator.diagnosis.observe import orchestrator_alive  # noqa: PLC0415 - `status` starts sooner
    from orchestrator.storage.queries import read_orchestrators  # noqa: PLC0415

    known = await database.read(read_orchestrators)
    if any(one.host == host_name() and _runs_orchestrator(one.pid) for one in known):
        return True
    return bool(known) and await orchestrator_alive(database, settings.lease_seconds / 2)


def _runs_orchestrator(pid: int) -> bool:
    """Whether a process of this machine shows itself as one; False where that cannot be seen."""
    with suppress(OSError):
        return b"orchestrator" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False
