"""Failpoints: named places where a fault can be injected, between a step and the step that makes it safe.

A place calls `failpoint("worker.after_write")`. Nothing happens unless the process was armed, which the
composition root allows only in the scratch folders of `multi-agent chaos`.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from contracts.base.errors import NotConfigured, StoreUnavailable

WORKER: Final = (
    "worker.after_read",
    "worker.before_run",
    "worker.before_sandbox",
    "sandbox.running",
    "worker.after_sandbox",
    "worker.before_model",
    "worker.after_model",
    "worker.after_exchange",
    "worker.before_write",
    "worker.after_write",
    "worker.before_outcome",
    "worker.after_outcome",
)
ORCHESTRATOR: Final = (
    "orchestrator.after_read",
    "orchestrator.before_commit",
    "orchestrator.in_commit",
    "orchestrator.after_commit",
    "orchestrator.before_dispatch",
    "orchestrator.after_dispatch",
    "orchestrator.after_load",
    "git_publisher.before_refs",
    "git_publisher.after_refs",
    "git_publisher.before_merge",
    "git_publisher.after_merge",
)
# Some are passed by one backend only, so a certificate cannot require that each is passed.
SANDBOX: Final = (
    "sandbox.created",
    "sandbox.launched",
    "sandbox.started",
    "sandbox.judged",
    "sandbox.refilled",
)
FAILPOINTS: Final = frozenset(WORKER + ORCHESTRATOR + SANDBOX)


class Action(StrEnum):
    """What a trap does to this process."""

    KILL = "kill"
    """Sends it SIGKILL."""
    STOP = "stop"
    """Sends it SIGSTOP."""
    LOSE = "lose"
    """Raises StoreUnavailable, as when the answer to a request was lost."""
    DELAY = "delay"
    """Blocks it for 50 ms."""
    NOTE = "note"
    """Only leaves a line in the log."""


@dataclass(frozen=True, slots=True)
class Trap:
    """What happens at a failpoint."""

    name: str
    action: Action
    chance: float
    """From 0 to 1, each time the failpoint is passed."""


_strike: Callable[[str, str], None] | None = None


def failpoint(name: str, about: str = "") -> None:
    """Inject a fault here if the process is armed. `about` tells the log what was under way."""
    if _strike is not None:
        _strike(name, about)


def failpoint_of(part: str | None, name: str) -> None:
    """Inject a fault at a failpoint of code that several parts share: "worker" and "after_read" name
    `worker.after_read`. A part of None has no failpoints."""
    if part is not None:
        failpoint(f"{part}.{name}")


def parse_traps(text: str) -> list[Trap]:
    """Parse traps from `NAME=ACTION[@CHANCE],...`. Raises NotConfigured."""
    traps = []
    for part in filter(None, text.split(",")):
        name, _, rest = part.partition("=")
        action, _, chance = rest.partition("@")
        if name not in FAILPOINTS:
            raise NotConfigured(f"failpoint {name!r}: unknown; known are {', '.join(sorted(FAILPOINTS))}")
        try:
            traps.append(Trap(name, Action(action), float(chance or 1.0)))
        except ValueError:
            raise NotConfigured(f"failpoint {part!r}: must be NAME=ACTION or NAME=ACTION@CHANCE") from None
    return traps


def arm(traps: list[Trap], log: Path, seed: int) -> None:
    """Set the traps of this process. Each that is triggered appends a line to `log` before it acts."""
    global _strike  # noqa: PLW0603 - faults are injected into a process, not an object
    chance = random.Random(seed)  # noqa: S311 - chosen to be repeatable
    by_name: dict[str, list[Trap]] = {}
    for trap in traps:
        by_name.setdefault(trap.name, []).append(trap)
    sink = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def strike(name: str, about: str) -> None:
        for trap in by_name.get(name, ()):
            if chance.random() < trap.chance:
                line = f"{time.time():.6f} {os.getpid()} {name} {trap.action} {about}\n"
                os.write(sink, line.encode())
                _act(trap)

    _strike = strike


def disarm() -> None:
    """Remove all traps."""
    global _strike  # noqa: PLW0603 - see arm
    _strike = None


def _act(trap: Trap) -> None:
    match trap.action:
        case Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        case Action.STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
        case Action.LOSE:
            raise StoreUnavailable(f"failpoint {trap.name}: the answer was lost")
        case Action.DELAY:
            time.sleep(0.05)
        case Action.NOTE:
            pass
