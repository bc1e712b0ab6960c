"""The keeper: starts the slot processes of a worker, watches them, ends them, and starts their successors.

Watching never waits for the bus, and what is said never waits for a process. An end that the keeper decides
is an outcome of its own, or none where nobody waits for one; what ran beside it is handed back (I1).
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from agents.keeper.judgement import End, EndReason, Judge, Limits, Seen
from agents.keeper.outcomes import outcome_of
from agents.keeper.processes import EXIT_LEFT, SlotProcesses
from agents.keeper.slot import Slot, SlotPlan
from agents.keeper.voice import Farewell, Voice
from agents.worker.board import Board, Held
from contracts.base.errors import BusUnavailable, MultiAgentError, Unavailable
from contracts.messages.payloads import Heartbeat, TaskOutcome
from contracts.ports.bus import Delivery, MessageBus

LOOK_SECONDS: Final = 0.25
_STOP_SECONDS: Final = 7.7
_KILL_SECONDS: Final = 0.3
_FAREWELL_SECONDS: Final = 0.6

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """Settings of one keeper."""

    keeper_id: str
    """Unique for the life of the process."""
    host: str
    heartbeat_seconds: float = 2.0
    limits: Limits = field(default_factory=Limits)
    read_logs: Callable[[], str | None] = lambda: None
    """Gives the last lines that its processes logged."""
    count: Callable[[str, TaskOutcome], None] = lambda _role, _outcome: None
    """Counts an outcome of a role."""
    stop_seconds: float = _STOP_SECONDS
    """How long its processes may take to stop; then they are killed."""


class Keeper:
    """Keeps one process in every slot."""

    def __init__(
        self,
        bus: MessageBus,
        processes: SlotProcesses,
        slots: Sequence[tuple[SlotPlan, Board]],
        memory_of: Callable[[int], int],
        settings: KeeperSettings,
    ) -> None:
        """`memory_of` measures the resident memory of a process in bytes. The bus stays the caller's."""
        self._processes = processes
        self._slots = [Slot(number, plan, board) for number, (plan, board) in enumerate(slots, 1)]
        self._memory_of = memory_of
        self._settings = settings
        self._judge = Judge(settings.limits)
        self._voice = Voice(bus, settings.heartbeat_seconds, self._heartbeats, self._judge.recall)
        self._stopping = asyncio.Event()
        self._empty = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Let the processes finish or hand back what they hold, and leave. Safe in a signal handler."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._signal_all(signal.SIGTERM)

    async def run(self) -> None:
        """Work until `stop`; all is over 10 s after that.

        Raises what ended a process at its start, when it is a mistake of the user, and Unavailable when all
        processes were lost at once.
        """
        self._processes.listen(self._handle_exit, self._handle_loss)
        voice = self._voice
        steps = (self._watch(), voice.speak(), voice.keep_answering(), voice.listen())
        tasks = [asyncio.create_task(step) for step in steps]
        stopped = asyncio.create_task(self._stopping.wait())
        ends: list[asyncio.Future[Any]] = [stopped, self._failed, *tasks]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            broken = [end for end in ends[1:] if end.done()]
            self.stop()
            await self._wait_empty()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            with suppress(BusUnavailable, TimeoutError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await self._voice.flush()
            for end in broken:
                await end
        finally:
            for end in ends:
                end.cancel()

    # --- watching

    async def _watch(self) -> None:
        """Start processes where there are none, and look at the others, several times a second."""
        async with asyncio.TaskGroup() as starts:
            while True:
                now = time.monotonic()
                for slot in self._slots:
                    if slot.pid is None and now >= slot.start_at and not self._stopping.is_set():
                        slot.start_at = math.inf
                        starts.create_task(self._start(slot))
                self._look(now)
                await asyncio.sleep(LOOK_SECONDS)

    async def _start(self, slot: Slot) -> None:
        slot.board.clear()
        slot.started_at = time.monotonic()
        order = slot.next_order(self._settings.keeper_id)
        try:
            slot.pid = await self._processes.start(order)
        except Unavailable as error:
            _log.warning("slot_not_started", slot=slot.worker_id, error=str(error))
            slot.end(time.monotonic(), gladly=False)
            return
        _log.info("slot_started", slot=slot.worker_id, lane=slot.plan.lane, pid=slot.pid)
        if self._stopping.is_set():
            self._processes.signal(slot.pid, signal.SIGTERM)

    def _look(self, now: float) -> None:
        seen = {}
        for slot in self._slots:
            if slot.pid is None or slot.ending is not None:
                continue
            slot.held = slot.board.look()
            seen[slot.worker_id] = Seen(slot.held, slot.board.life, self._memory_of(slot.pid))
        ends = self._judge.look(now, seen)
        for slot in self._slots:
            if slot.worker_id in ends and slot.pid is not None:
                slot.ending = ends[slot.worker_id]
                self._processes.signal(slot.pid, signal.SIGKILL)
        ending = [slot.worker_id for slot in self._slots if slot.ending is not None]
        self._voice.listen_for([*ending, *self._judge.deaf(now, seen)])

    def _heartbeats(self, sequence: int) -> Iterable[Heartbeat]:
        living = [slot for slot in self._slots if slot.pid is not None]
        for slot in living:
            slot.held = slot.board.look()
        return [slot.heartbeat(self._settings.keeper_id, self._settings.host, sequence) for slot in living]

    # --- ends

    def _handle_exit(self, pid: int, status: int) -> None:
        slot = next((one for one in self._slots if one.pid == pid), None)
        if slot is None:
            return
        slot.held = slot.board.look()
        _log.info("slot_exited", slot=slot.worker_id, status=status, held=len(slot.held))
        if slot.ending is not None:
            self._settle(slot, slot.ending)
        elif (failure := slot.board.failure) is not None:
            self._fail(failure)
        elif status in {0, EXIT_LEFT} or self._stopping.is_set():
            self._say_stopped(slot, slot.held)
        else:
            self._say_died(slot)
        slot.end(time.monotonic(), gladly=status == 0 or bool(slot.ending and slot.ending.culprits))
        slot.held = ()
        if not any(one.pid for one in self._slots):
            self._empty.set()

    def _settle(self, slot: Slot, end: End) -> None:
        """Answer for the culprits, and hand back or give up what ran beside them."""
        ended = {held.execution_id for held in end.culprits}
        culprits = [held for held in slot.held if held.execution_id in ended]
        _log.warning(
            "slot_ended",
            slot=slot.worker_id,
            reason=end.reason,
            dispatches=[held.dispatch_id for held in culprits],
        )
        if end.reason is EndReason.RECALLED:
            for held in culprits:
                self._voice.forget(_entry(held))
            slot.held = tuple(held for held in slot.held if held not in culprits)
            culprits = []
        if not end.certain:
            self._say_died(slot)
            return
        messages = self._voice.messages(slot.worker_id)
        for held in culprits:
            outcome = outcome_of(end.reason, held, slot.worker_id, self._settings.limits, time.monotonic())
            self._settings.count(held.role, outcome)
            message = messages.outcome(held.origin, outcome)
            self._voice.answer(held.dispatch_id, held.execution_id, message, _entry(held))
        others = [held for held in slot.held if held not in culprits]
        self._say_stopped(slot, others, frozenset(held.dispatch_id for held in culprits))

    def _say_stopped(
        self, slot: Slot, handed_back: Iterable[Held], after: frozenset[str] = frozenset()
    ) -> None:
        left = self._voice.messages(slot.worker_id).left(tuple(held.dispatch_id for held in handed_back))
        self._voice.bid_farewell(Farewell(slot.worker_id, (left,), after, self._last_heartbeat(slot)))

    def _say_died(self, slot: Slot) -> None:
        """Report a death, with a heartbeat that says what it held: the last one may be older."""
        messages = self._voice.messages(slot.worker_id)
        left = messages.left(reason="died", logs=self._settings.read_logs())
        heartbeat = messages.heartbeat(self._last_heartbeat(slot))
        self._voice.bid_farewell(Farewell(slot.worker_id, (heartbeat, left)))

    def _last_heartbeat(self, slot: Slot) -> Heartbeat:
        return slot.heartbeat(self._settings.keeper_id, self._settings.host, 0)

    def _fail(self, error: MultiAgentError) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    def _handle_loss(self) -> None:
        """All processes have ended together; that is the death of this keeper, and so it is told."""
        left = self._voice.messages(self._settings.keeper_id).left(
            reason="died", logs=self._settings.read_logs()
        )
        self._voice.bid_farewell(Farewell(self._settings.keeper_id, (left,)))
        for slot in self._slots:
            slot.pid = None
        self._empty.set()
        self._fail(Unavailable("the process that starts slot processes has ended"))

    # --- leaving

    def _signal_all(self, number: int) -> None:
        for slot in self._slots:
            if slot.pid is not None:
                self._processes.signal(slot.pid, number)

    async def _wait_empty(self) -> None:
        """Wait until all processes have ended; those that take too long are killed."""
        for seconds in (self._settings.stop_seconds, _KILL_SECONDS):
            if not any(slot.pid for slot in self._slots):
                return
            self._empty.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
            self._signal_all(signal.SIGKILL)


def _entry(held: Held) -> Delivery:
    """What is acknowledged; nobody asks for its bytes."""
    return Delivery(held.stream, held.entry_id, b"")
