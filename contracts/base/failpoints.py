"""Failpoints: named places where a fault can strike, between a step and the step that makes it safe.

A place calls `failpoint("worker.after_write")`. Nothing happens unless the process was armed, which the
composition root refuses outside the scratch folders of `multi-agent chaos`.
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
OWNER: Final = (
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
# Some lie on the way of one backend only; a certificate cannot ask that they are passed.
SANDBOX: Final = (
    "sandbox.created",
    "sandbox.launched",
    "sandbox.started",
    "sandbox.judged",
    "sandbox.refilled",
)
FAILPOINTS: Final = frozenset(WORKER + OWNER + SANDBOX)


class Action(StrEnum):
    """KILL and STOP send this process SIGKILL and SIGSTOP; LOSE raises StoreUnavailable, as when the answer
    to a request was lost; DELAY blocks the process for 50 ms; NOTE only leaves a line."""

    KILL = "kill"
    STOP = "stop"
    LOSE = "lose"
    DELAY = "delay"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Trap:
    """What happens at a failpoint, with `chance` (0 to 1) each time it is passed."""

    name: str
    action: Action
    chance: float


_strike: Callable[[str, str], None] | None = None


def failpoint(name: str, about: str = "") -> None:
    """A fault may strike here. `about` says to the log what was under way."""
    if _strike is not None:
        _strike(name, about)


def parse_traps(text: str) -> list[Trap]:
    """Traps from `NAME=ACTION[@CHANCE],...`. Raises NotConfigured."""
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
    """Set the traps of this process. Each strike appends a line to `log` before it does anything."""
    global _strike  # noqa: PLW0603 - a fault strikes a process, not an object
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
    """Take all traps away."""
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
