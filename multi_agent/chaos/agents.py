"""The agents of the test load. The description of a task is JSON that says what to do."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Iterable
from typing import Final

from pydantic import Field

from agents import AgentResult, Task, agent
from contracts.base.errors import AgentFailure
from contracts.base.model import Model

ROLE: Final = "chaos"
OBSTINATE: Final = "obstinate"
_FAR_TOO_LONG: Final = 600.0
QUESTIONS: Final = tuple(f"What is question {number}?" for number in range(8))


class Orders(Model):
    """What a task of the load does."""

    milliseconds: int = Field(default=0, ge=0)
    """How long it sleeps."""
    ask: int | None = None
    """Index of the question that it asks the model."""
    sandbox: bool = False
    """Whether it runs a program in the sandbox."""
    fails: int = 0
    """Attempts up to this number fail."""
    poison: bool = False
    """Whether it kills its worker."""
    blocks: int = 0
    """Attempts up to this number sleep without letting the event loop turn, far beyond their deadline."""
    computes: int = 0
    """Attempts up to this number compute, far beyond their deadline."""
    swallows: int = 0
    """Attempts up to this number go on after they are cancelled."""


def content(task_id: str, inputs: Iterable[bytes]) -> bytes:
    """Return what a task writes: its name, and a digest of what its dependencies wrote."""
    digest = hashlib.sha256(b"\0".join(sorted(inputs))).hexdigest()
    return f"{task_id} {digest}\n".encode()


@agent(role=OBSTINATE, version="1")
class ObstinateAgent:
    """Follows its orders, and writes a file that depends only on its inputs."""

    async def run(self, task: Task) -> AgentResult:
        orders = Orders.model_validate_json(task.item.description)
        await _obstruct(orders, task.request.attempt)
        if orders.poison:
            os.kill(os.getpid(), signal.SIGKILL)
        if orders.ask is not None:
            await task.ask(QUESTIONS[orders.ask])
        if orders.sandbox:
            await task.run_sandbox(("python", "-c", "print(6 * 7)"), files={})
        await asyncio.sleep(orders.milliseconds / 1000)
        if task.request.attempt <= orders.fails:
            raise AgentFailure("told to fail")
        inputs = [task.files[f"{name}.txt"] for name in task.item.dependencies]
        name = task.item.task_id
        return AgentResult(files={f"{name}.txt": content(name, inputs)}, summary="done")


@agent(role=ROLE, version="1", short=True)
class ChaosAgent(ObstinateAgent):
    """The same, in a process that it shares."""


async def _obstruct(orders: Orders, attempt: int) -> None:
    """Take longer than allowed, in a way that only the end of the process ends."""
    until = time.monotonic() + _FAR_TOO_LONG
    if attempt <= orders.blocks:
        time.sleep(_FAR_TOO_LONG)  # noqa: ASYNC251 - this is the fault
    while attempt <= orders.computes and time.monotonic() < until:
        sum(range(1_000))
    while attempt <= orders.swallows and time.monotonic() < until:
        try:
            await asyncio.sleep(until - time.monotonic())
        except asyncio.CancelledError:
            continue
