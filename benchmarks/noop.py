"""The agent that does nothing, for `--agents benchmarks.noop`."""

from __future__ import annotations

import asyncio

from agents import AgentResult, Task, agent
from benchmarks.notes import note

ROLE = "noop"
WAIT = "wait "
"""Seconds to wait follow, as an agent waits for a model."""


@agent(role=ROLE)
class Noop:
    """Notes that it ran, and waits as long as it is told. Its task's title is the name to note."""

    async def run(self, task: Task) -> AgentResult:
        note(task.item.title)
        if task.item.description.startswith(WAIT):
            await asyncio.sleep(float(task.item.description.removeprefix(WAIT)))
        return AgentResult(files={}, summary="done")
