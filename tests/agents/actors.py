"""Agents that tests of the worker use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agents import AgentResult, Task, agent
from contracts.messages.payloads import TestSummary

Work = Callable[[Task], Awaitable[AgentResult]]


class Gate:
    """Where executions wait until a test lets them go on."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.ended: list[str] = []
        self.open = asyncio.Event()

    def agent(self) -> type:
        gate = self

        @agent(role="coder")
        class Waiting:
            async def run(self, task: Task) -> AgentResult:
                gate.entered.append(task.request.dispatch_id)
                try:
                    await gate.open.wait()
                finally:
                    gate.ended.append(task.request.dispatch_id)
                return AgentResult(files={}, summary="done")

        return Waiting


def doing(work: Work) -> type:
    """An agent that does this."""

    @agent(role="coder")
    class Doing:
        async def run(self, task: Task) -> AgentResult:
            return await work(task)

    return Doing


def failing(error: BaseException) -> type:
    @agent(role="coder")
    class Failing:
        async def run(self, task: Task) -> AgentResult:
            raise error

    return Failing


@agent(role="coder", version="3.2")
class Writer:
    async def run(self, task: Task) -> AgentResult:
        text = await task.ask("Write it")
        return AgentResult(
            files={"out.py": text, "old.py": None},
            verdict="passed",
            summary="written",
            tests=TestSummary(passed=2, failed=0),
            backend="none",
        )


@agent(role="coder")
class Quick:
    async def run(self, task: Task) -> AgentResult:
        return AgentResult(files={}, summary="quick")
