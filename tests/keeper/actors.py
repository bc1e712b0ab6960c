"""Agents that misbehave, for `--agents tests.keeper.actors`. The description of a task is JSON."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agents import AgentResult, Task, agent

_leaked: list[int] = []


def blocks(seconds: float) -> None:
    time.sleep(seconds)


def computes(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1_000))


async def swallows(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            await asyncio.sleep(until - time.monotonic())
        except asyncio.CancelledError:
            continue


async def waits(path: str) -> None:
    while not _exists(path):  # noqa: ASYNC110 - the test is another process
        await asyncio.sleep(0.02)


def _exists(path: str) -> bool:
    return Path(path).exists()


def note(path: str, pid: int) -> None:
    Path(path).write_text(str(pid))


def leak(count: int) -> None:
    """Leave descriptors open until so many more may be opened, or none."""
    _leaked.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(count))


def starts_child(path: str) -> None:
    note(path, subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
    time.sleep(600)


def takes(mb: int) -> None:
    kept = bytearray(mb << 20)
    kept[::4_096] = b"x" * len(kept[::4_096])
    time.sleep(30)


def raises(_: int) -> None:
    raise OSError(errno.EMFILE, "the agent itself has no room")


def dies(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


BLOCKING: dict[str, Callable[[Any], None]] = {
    "block": blocks,
    "compute": computes,
    "take": takes,
    "child": starts_child,
    "leak": leak,
    "short": raises,
    "die": dies,
}
WAITING: dict[str, Callable[[Any], Awaitable[None]]] = {"swallow": swallows, "wait": waits}


async def follow(orders: dict[str, Any]) -> None:
    if "started" in orders:
        note(orders["started"], os.getpid())
    for order, value in orders.items():
        if order in BLOCKING:
            BLOCKING[order](value)
        if order in WAITING:
            await WAITING[order](value)


@agent(role="lasting")
class Lasting:
    async def run(self, task: Task) -> AgentResult:
        orders = json.loads(task.item.description or "{}")
        await follow(orders)
        return AgentResult(files=orders.get("files", {}), summary=str(os.getpid()))


@agent(role="brief", short=True)
class Brief:
    async def run(self, task: Task) -> AgentResult:
        await follow(json.loads(task.item.description or "{}"))
        return AgentResult(summary=str(os.getpid()))
