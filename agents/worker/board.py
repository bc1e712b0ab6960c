"""Shared memory in which a slot process shows its keeper what it holds, without a call or a message.

One process writes, one reads, and either may be stopped or killed at any instruction. A place of a record is
taken by its state: all else is written before the state, and the number of the place changes after it. So a
reader that finds the same number before and after has read one record as a whole.
"""

from __future__ import annotations

import asyncio
import json
import math
import mmap
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from agents.worker.messages import Origin
from contracts.base.error_words import error_of, error_words
from contracts.base.errors import MultiAgentError

BEAT_SECONDS: Final = 0.25
"""How often a slot process shows that its event loop turns."""

_HEADER: Final = 64
_BEAT: Final = struct.Struct("=d")
_LENGTH: Final = struct.Struct("=I")
_FAILURE_AT: Final = 8
_FAILURE_BYTES: Final = 16_384
_RECORD: Final = struct.Struct("=IIdd")
"""The number of the place, the length of the text, the start and the deadline."""
_RECORD_BYTES: Final = 4_096
_FREE, _HELD, _RECALLED = 0, 1, 2
_TRIES: Final = 5

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A dispatch that a worker holds, and what an outcome of it needs. Times are monotonic."""

    dispatch_id: str
    execution_id: str
    role: str
    stream: str
    entry_id: str
    """With `stream`, the entry to acknowledge."""
    origin: Origin
    started: float | None = None
    """None while it waits."""
    deadline: float = math.inf
    recalled: bool = False
    """Whether its process has heard that nobody waits for it."""


class Board:
    """The memory of one slot process."""

    def __init__(self, fd: int, offset: int, places: int) -> None:
        """Map a part of a file in memory; `offset` is a multiple of the page size."""
        self._memory = mmap.mmap(fd, board_bytes(places), offset=offset)
        self._places = places
        self._records = _HEADER + _FAILURE_BYTES + places
        self._taken: dict[str, int] = {}
        """Dispatch id -> place."""
        self._free = list(range(places - 1, -1, -1))
        self._read: dict[int, tuple[int, Held]] = {}

    def clear(self) -> None:
        """Forget what an earlier process showed."""
        # Not all of it: what was never written takes no memory.
        _BEAT.pack_into(self._memory, 0, 0.0)
        _LENGTH.pack_into(self._memory, _FAILURE_AT, 0)
        self._memory[self._state(0) : self._state(self._places)] = bytes(self._places)
        self._read.clear()

    def close(self) -> None:
        """Unmap the memory."""
        self._memory.close()

    # --- the slot process

    async def show_life(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Show that the event loop turns, until cancelled."""
        while True:
            _BEAT.pack_into(self._memory, 0, clock())
            await asyncio.sleep(BEAT_SECONDS)

    def fail(self, error: MultiAgentError) -> None:
        """Show the error that ends this process at its start."""
        kind, message = error_words(error)
        text = json.dumps([kind, message[: _FAILURE_BYTES // 8]]).encode()
        start = _FAILURE_AT + _LENGTH.size
        self._memory[start : start + len(text)] = text
        _LENGTH.pack_into(self._memory, _FAILURE_AT, len(text))

    def hold(self, held: Held) -> None:
        """Show a dispatch that waits."""
        text = json.dumps(
            (held.dispatch_id, held.execution_id, held.role, held.stream, held.entry_id, held.origin)
        ).encode()
        if not self._free or len(text) > _RECORD_BYTES - _RECORD.size:
            _log.error("board_full", dispatch_id=held.dispatch_id, places=self._places)
            return
        place = self._taken[held.dispatch_id] = self._free.pop()
        at = self._at(place)
        number = _LENGTH.unpack_from(self._memory, at)[0]
        _RECORD.pack_into(self._memory, at, number, len(text), 0.0, math.inf)
        self._memory[at + _RECORD.size : at + _RECORD.size + len(text)] = text
        self._memory[self._state(place)] = _HELD

    def start(self, dispatch_id: str) -> None:
        """Show that a dispatch has its slot."""
        self._write_time(dispatch_id, 8, time.monotonic())

    def limit(self, dispatch_id: str, seconds: float) -> None:
        """Show that the agent of a dispatch begins, and may take so many seconds."""
        self._write_time(dispatch_id, 16, time.monotonic() + seconds)

    def _write_time(self, dispatch_id: str, offset: int, value: float) -> None:
        place = self._taken.get(dispatch_id)
        if place is not None:
            _BEAT.pack_into(self._memory, self._at(place) + offset, value)

    def recall(self, dispatch_id: str) -> None:
        """Show that nobody waits for a dispatch any more."""
        place = self._taken.get(dispatch_id)
        if place is not None:
            self._memory[self._state(place)] = _RECALLED

    def remove(self, dispatch_id: str) -> None:
        """Show a dispatch no more."""
        place = self._taken.pop(dispatch_id, None)
        if place is None:
            return
        self._memory[self._state(place)] = _FREE
        at = self._at(place)
        number = _LENGTH.unpack_from(self._memory, at)[0]
        _LENGTH.pack_into(self._memory, at, (number + 1) & 0xFFFFFFFF)
        self._free.append(place)

    # --- the keeper

    @property
    def life(self) -> float:
        """When the event loop last turned, on the monotonic clock."""
        value: float = _BEAT.unpack_from(self._memory, 0)[0]
        return value

    @property
    def failure(self) -> MultiAgentError | None:
        """The error that ended the process at its start."""
        length = _LENGTH.unpack_from(self._memory, _FAILURE_AT)[0]
        if not length:
            return None
        start = _FAILURE_AT + _LENGTH.size
        return error_of(json.loads(self._memory[start : start + length]))

    def look(self) -> tuple[Held, ...]:
        """What the process holds now."""
        first = self._state(0)
        states = self._memory[first : first + self._places]
        if not any(states):
            return ()
        seen = (self._look_at(place) for place, state in enumerate(states) if state != _FREE)
        return tuple(held for held in seen if held is not None)

    def _look_at(self, place: int) -> Held | None:
        """One record; None when it is gone meanwhile."""
        at = self._at(place)
        for _ in range(_TRIES):
            number = self._number(at)
            state = self._memory[self._state(place)]
            if state == _FREE:
                return None
            _, length, started, deadline = _RECORD.unpack_from(self._memory, at)
            known = self._read.get(place)
            text = b""
            if known is None or known[0] != number:
                text = self._memory[at + _RECORD.size : at + _RECORD.size + length]
            if self._number(at) != number:
                continue
            if text or known is None:
                known = self._read[place] = number, _held(text)
            recalled = state == _RECALLED
            return replace(known[1], started=started or None, deadline=deadline, recalled=recalled)
        return None

    def _number(self, at: int) -> int:
        number: int = _LENGTH.unpack_from(self._memory, at)[0]
        return number

    def _state(self, place: int) -> int:
        return _HEADER + _FAILURE_BYTES + place

    def _at(self, place: int) -> int:
        return self._records + place * _RECORD_BYTES


def _held(text: bytes) -> Held:
    dispatch_id, execution_id, role, stream, entry_id, origin = json.loads(text)
    return Held(dispatch_id, execution_id, role, stream, entry_id, Origin(*origin))


def board_bytes(places: int) -> int:
    """The size of a board, in whole pages."""
    size = _HEADER + _FAILURE_BYTES + places * (1 + _RECORD_BYTES)
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
