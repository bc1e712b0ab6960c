"""The port through which the keeper has processes, and what it needs to know of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from agents.worker.lanes import Lane

EXIT_LEFT: Final = 75
"""The exit code of a slot process that makes room for a fresh one."""

Exited: TypeAlias = Callable[[int, int], None]
"""Called with a process id and its status: an exit code, or minus the signal that killed it."""


@dataclass(frozen=True, slots=True)
class SlotOrder:
    """What a slot process is to be."""

    worker_id: str
    """New for every process."""
    keeper_id: str
    lane: Lane
    slots: int
    board_at: int
    """Where in the memory of all boards its own begins."""
    places: int
    """How many records its board has."""


class SlotProcesses(Protocol):
    """Starts and ends slot processes. They die with the keeper."""

    def listen(self, exited: Exited, lost: Callable[[], None]) -> None:
        """Report every exit, or that all processes are lost at once, from now on."""

    async def start(self, order: SlotOrder) -> int:
        """Start a process; its id, which stays its own until its exit was reported.

        Raises Unavailable when there is no room for one.
        """

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a process whose exit was not reported yet."""
