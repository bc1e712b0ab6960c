"""The agent that does nothing, for `--agents benchmarks.noop`."""

from __future__ import annotations

import asyncio

from agents import AgentResult, Task, agent
from benchmarks.notes import note

ROLE = "noop"
WAIT = "wait "
"""Begins a description that ends with the seconds to wait, as an agent waits for a model."""


@agent(role=ROLE, short=True)
class Noop:
    """Notes the title of its task, and waits as long as the description says."""

    async def run(self, task: Task) -> AgentResult:
        note(task.item.title)
        if task.item.description.startswith(WAIT):
            await asyncio.sleep(float(task.item.description.removeprefix(WAIT)))
        return AgentResult(files={}, summary="done")
