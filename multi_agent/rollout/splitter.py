"""Put in front of a program's agent: each request goes to the arm that its key belongs to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from types import TracebackType
from typing import Any, Final
from uuid import uuid4

import structlog

from contracts.base.errors import InvalidInput, NotConfigured, Unavailable
from contracts.messages.rollout import Arm
from multi_agent.rollout.assignment import assigned, key_hash
from multi_agent.rollout.evidence import Assigned
from multi_agent.rollout.flags import FlagSource
from multi_agent.rollout.records import (
    ArmAnswer,
    LegacyOnly,
    Measure,
    OutcomeRecorder,
    record_safely,
    recorded_id,
)

logger = structlog.get_logger(__name__)

FAILING: Final = (LegacyOnly, Unavailable, NotConfigured, OSError)
"""What says that an arm cannot take a request now, not that it did badly."""
_MOST_SHADOWS: Final = 32


class TrafficSplitter:
    """Sends each request to the legacy arm or to multi-agent, and records how it went. Safe in threads.

    A request that multi-agent cannot take is answered by the legacy arm. An arm's own error is the caller's.
    """

    def __init__(
        self,
        *,
        legacy: Callable[[Any], Any],
        multi_agent: Callable[[Any], Any],
        flags: FlagSource | None = None,
        recorder: OutcomeRecorder | None = None,
        measure: Measure | None = None,
        failing: tuple[type[Exception], ...] = FAILING,
    ) -> None:
        """Both arms take a request and return a value, or an ArmAnswer that also says how it went.

        flags, recorder: by default those of the settings (MULTI_AGENT_ROLLOUT_URL).
        measure: makes an ArmAnswer of a value that is none; by default it succeeded.
        failing: errors of the multi-agent arm after which the legacy arm answers.
        """
        self._arms: dict[Arm, Callable[[Any], Any]] = {"legacy": legacy, "multi_agent": multi_agent}
        self._measure = measure or ArmAnswer
        self._failing = failing
        self._link: Any = None
        if flags is None or recorder is None:
            from multi_agent.rollout.connecting import connect  # noqa: PLC0415 - needs the settings

            known_flags, self._link = connect()
            flags, recorder = flags or known_flags, recorder or self._link
        self._flags, self._recorder = flags, recorder
        self._shadows = threading.BoundedSemaphore(_MOST_SHADOWS)
        self._tasks: set[asyncio.Task[None]] = set()

    def call(self, request: Any, *, key: str, request_id: str | None = None) -> Any:
        """The answer of the arm that `key` belongs to. Both arms must be plain functions.

        key: whose request it is; the same key stays with its arm.
        request_id: by which it is rated later, and recorded once if it comes again; by default a new one.
        """
        if any(map(iscoroutinefunction, self._arms.values())):
            raise InvalidInput("an arm of this splitter is a coroutine function; await `acall` instead")
        run = self._begin(key, request_id)
        if run.assigned == "multi_agent":
            try:
                return self._work(run, "multi_agent", request)
            except self._failing as error:
                _say_fallback(error)
                return self._value(_plain(self._arms["legacy"](request)))
        if run.assigned == "shadowed":
            self._start_shadow(run, request)
        return self._work(run, "legacy", request)

    async def acall(self, request: Any, *, key: str, request_id: str | None = None) -> Any:
        """As `call`, for arms that are coroutine functions; a plain function runs in a thread."""
        run = self._begin(key, request_id)
        if run.assigned == "multi_agent":
            try:
                return await self._awork(run, "multi_agent", request)
            except self._failing as error:
                _say_fallback(error)
                return self._value(await _called(self._arms["legacy"], request))
        if run.assigned == "shadowed":
            if iscoroutinefunction(self._arms["multi_agent"]):
                task = asyncio.create_task(self._ashadow(run, request))
                self._tasks.add(task)
                task.add_done_callback(self._shadow_ended)
            else:
                self._start_shadow(run, request, asyncio.get_running_loop())
        return await self._awork(run, "legacy", request)

    def rate(self, request_id: str, rating: int) -> None:
        """Record what a user thought of an answer: 5 for a thumb up, 1 for one down, or between."""
        self._rated(request_id, rating, complaint=False)

    def complain(self, request_id: str) -> None:
        """Record that a user complained of an answer; it counts as a 1."""
        self._rated(request_id, 1, complaint=True)

    def close(self) -> None:
        """Send what is recorded, for two seconds at most."""
        if self._link is not None:
            self._link.close()

    def _rated(self, request_id: str, rating: int, *, complaint: bool) -> None:
        if rating not in range(1, 6):
            raise InvalidInput(f"rating is {rating!r}; give 1 to 5")
        if rollout := self._flags.flag().rollout:
            rated: dict[str, object] = {
                "kind": "rated",
                "rollout": rollout,
                "request_id": recorded_id(request_id),
            }
            record_safely(self._recorder, rated | {"rating": rating, "complaint": complaint})

    def _begin(self, key: str, request_id: str | None) -> _Run:
        flag = self._flags.flag()
        hashed = key_hash(flag.rollout, key)
        # Without room there is no shadow for any key, and that is recorded: to leave out those alone that
        # found none would change the shares of the arms, by which all are weighed.
        has_room = bool(flag.shadow) and self._shadows.acquire(blocking=False)
        if not has_room:
            flag = replace(flag, shadow=0)
        arm = assigned(flag, hashed)
        if has_room and arm != "shadowed":
            self._shadows.release()
        recorded = flag.rollout if flag.state == "running" else ""
        name = recorded_id(request_id) if request_id else uuid4().hex
        run = _Run(recorded, name, arm, self._recorder, self._failing)
        if recorded:
            shares: dict[str, object] = {"stage": flag.stage, "percent": flag.percent, "shadow": flag.shadow}
            run.record(shares | {"kind": "begun", "key_hash": hashed, "assigned": arm})
        return run

    def _work(self, run: _Run, arm: Arm, request: Any, loop: asyncio.AbstractEventLoop | None = None) -> Any:
        with _Work(run, arm) as work:
            return self._done(work, _plain(self._arms[arm](request), loop))

    async def _awork(self, run: _Run, arm: Arm, request: Any) -> Any:
        with _Work(run, arm) as work:
            return self._done(work, await _called(self._arms[arm], request))

    def _start_shadow(self, run: _Run, request: Any, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """In a thread of its own, which takes none of a loop's and holds up no program that ends."""
        shadow = partial(copy_context().run, self._shadow, run, request, loop)
        try:
            threading.Thread(target=shadow, name="rollout-shadow", daemon=True).start()
        except RuntimeError as error:
            # Left out it would change the shares of the arms: it never ends, and counts as failed.
            self._shadows.release()
            _say_shadow(error)

    def _shadow(self, run: _Run, request: Any, loop: asyncio.AbstractEventLoop | None) -> None:
        try:
            self._work(run, "multi_agent", request, loop)
        except Exception as error:
            _say_shadow(error)
        finally:
            self._shadows.release()

    async def _ashadow(self, run: _Run, request: Any) -> None:
        try:
            await self._awork(run, "multi_agent", request)
        except Exception as error:
            _say_shadow(error)

    def _shadow_ended(self, task: asyncio.Task[None]) -> None:
        """Also of one that was cancelled before it began."""
        self._tasks.discard(task)
        self._shadows.release()

    def _done(self, work: _Work, result: Any) -> Any:
        try:
            found = result if isinstance(result, ArmAnswer) else self._measure(result)
            if not isinstance(found, ArmAnswer):
                raise TypeError(f"the measure returned {type(found).__name__}, no ArmAnswer")
            work.answer = replace(found, success=bool(found.success))
        except Exception as error:
            logger.warning("rollout_measure_failed", error=str(error)[:200])
            work.answer = ArmAnswer(result, success=False)
        return self._value(result)

    @staticmethod
    def _value(result: Any) -> Any:
        return result.value if isinstance(result, ArmAnswer) else result


@dataclass(frozen=True, slots=True)
class _Run:
    """One request."""

    rollout: str
    """"" where it is not recorded."""
    request_id: str
    assigned: Assigned
    recorder: OutcomeRecorder
    failing: tuple[type[Exception], ...]

    def record(self, fields: dict[str, object]) -> bool:
        """Record something of it."""
        return record_safely(self.recorder, fields | {"rollout": self.rollout, "request_id": self.request_id})


class _Work:
    """One arm's work on a request: takes its time, and records its end unless the caller gives up."""

    def __init__(self, run: _Run, arm: Arm) -> None:
        self._run, self._arm = run, arm
        self.answer = ArmAnswer(None, success=False)

    def __enter__(self) -> _Work:
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run, answer = self._run, self.answer
        if not run.rollout or not (error is None or isinstance(error, Exception)):
            return
        ended: dict[str, object] = {
            "kind": "ended",
            "arm": self._arm,
            "success": answer.success and error is None,
            "failing": isinstance(error, run.failing),
            "seconds": time.monotonic() - self._started,
        }
        said = {name: getattr(answer, name) for name in ("iterations", "cost_usd", "findings")}
        # What an arm says of itself may be nonsense; that it ended is not.
        if not run.record(ended | said):
            run.record(ended)


async def _called(arm: Callable[[Any], Any], request: Any) -> Any:
    if iscoroutinefunction(arm):
        return await arm(request)
    result = await asyncio.to_thread(arm, request)
    return await result if isawaitable(result) else result


def _plain(result: Any, loop: asyncio.AbstractEventLoop | None = None) -> Any:
    """What an arm returned in a thread; an awaitable is awaited in the loop. Raises InvalidInput."""
    if not isawaitable(result):
        return result
    if loop is not None and not loop.is_closed():
        return asyncio.run_coroutine_threadsafe(_awaited(result), loop).result()
    if iscoroutine(result):
        result.close()
    raise InvalidInput("an arm of this splitter returned an awaitable; await `acall` instead")


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _say_shadow(error: Exception) -> None:
    logger.info("rollout_shadow_failed", error=f"{type(error).__name__}: {str(error)[:200]}")


def _say_fallback(error: Exception) -> None:
    logger.warning("rollout_fell_back_to_legacy", error=f"{type(error).__name__}: {str(error)[:200]}")
