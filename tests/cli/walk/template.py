"""The folder in which each command is called: a plan, and a data folder with a history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.release.history import write_history

AWAY: Final = "127.0.0.1:1"
"""Nothing listens there."""
USUAL: Final[Mapping[str, str]] = {
    "MULTI_AGENT_GEMINI_BASE_URL": f"http://{AWAY}",
    "MULTI_AGENT_LEASE_SECONDS": "1.5",
}
"""No command asks anybody outside this machine, and those that listen for a lease are quick."""
_PLAN: Final = """{"todo_list_id": "p", "request": "r",
 "items": [{"task_id": "a", "title": "a", "agent_role": "coder"}]}"""


async def make_template(folder: Path) -> None:
    """Make the folder."""
    data = folder / ".multi_agent"
    data.mkdir(parents=True)
    (folder / "plan.json").write_text(_PLAN)
    users = ("orchestrator", "worker", "sandbox-host", "command-line")
    (folder / "passwords").write_text("".join(f"{user}=a-password-of-{user}\n" for user in users))
    await write_history(f"sqlite:///{data / 'state.db'}")
