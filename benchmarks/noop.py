"""The agent that does nothing, for `--agents benchmarks.noop`."""

from __future__ import annotations

from agents import AgentResult, Task, agent
from benchmarks.notes import note

ROLE = "noop"


@agent(role=ROLE)
class Noop:
    """Notes that it ran. Its task's title is the name to note."""

    async def run(self, task: Task) -> AgentResult:
        note(task.item.title)
        return AgentResult(files={}, summary="done")
