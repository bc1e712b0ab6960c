"""Agents that misbehave, for `--agents tests.keeper.actors`. The description of a task is JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from agents import AgentResult, Task, agent


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


def starts_child(path: str) -> None:
    note(path, subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
    time.sleep(600)


def takes(mb: int) -> None:
    kept = bytearray(mb << 20)
    kept[::4_096] = b"x" * len(kept[::4_096])
    time.sleep(30)


async def follow(orders: dict[str, Any]) -> None:
    if "started" in orders:
        note(orders["started"], os.getpid())
    match orders:
        case {"block": seconds}:
            blocks(seconds)
        case {"compute": seconds}:
            computes(seconds)
        case {"swallow": seconds}:
            await swallows(seconds)
        case {"wait": path}:
            await waits(path)
        case {"take": mb}:
            takes(mb)
        case {"child": path}:
            starts_child(path)
        case {"die": _}:
            os.kill(os.getpid(), signal.SIGKILL)


@agent(role="lasting")
class Lasting:
    async def run(self, task: Task) -> AgentResult:
        await follow(json.loads(task.item.description or "{}"))
        return AgentResult(summary=str(os.getpid()))


@agent(role="brief", short=True)
class Brief:
    async def run(self, task: Task) -> AgentResult:
        await follow(json.loads(task.item.description or "{}"))
        return AgentResult(summary=str(os.getpid()))
