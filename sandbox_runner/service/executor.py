"""One program at a sandbox host: from a request to its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import structlog

from contracts.base.errors import InvalidInput, SandboxUnavailable, UnsafePath
from contracts.base.text import bounded
from contracts.messages.sandbox import SandboxOrder, SandboxOutcome
from contracts.ports.sandbox import Sandbox, SandboxRequest
from sandbox_runner.service.admission import admit
from sandbox_runner.service.messages import sendable_outcome
from sandbox_runner.service.recent_ids import RecentIds
from sandbox_runner.service.settings import HostSettings

_DOUBT_SECONDS: Final = 2.5
_NoResult: TypeAlias = Literal["infra", "unsafe_path", "invalid_input"]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """A request in a host's hands."""

    order: SandboxOrder
    request: SandboxRequest | InvalidInput
    """The request that may run, or why it is refused."""

    since: float
    """When it was received; monotonic."""


class ProgramExecutor:
    """Runs programs. Whatever fails in the sandbox itself is an outcome with the verdict `infra`."""

    def __init__(self, sandbox: Sandbox, settings: HostSettings, clock: Callable[[], float]) -> None:
        self._sandbox = sandbox
        self._settings = settings
        self._clock = clock
        self._wanted = RecentIds()
        self._heard = asyncio.Event()

    def wanted(self, request_ids: Sequence[str]) -> None:
        """Their caller has just said that it waits for these."""
        now = asyncio.get_running_loop().time()
        for request_id in request_ids:
            self._wanted.note(request_id, now)
        self._heard.set()

    def program(self, order: SandboxOrder) -> Program:
        """What to run for an order. Raises DecodeError when its bundle differs from its sizes."""
        now = asyncio.get_running_loop().time()
        try:
            return Program(order, admit(order, self._settings.most), now)
        except InvalidInput as error:
            return Program(order, error, now)

    async def run(self, program: Program) -> SandboxOutcome:
        """Run it. Raises nothing but CancelledError."""
        order, request = program.order, program.request
        if isinstance(request, InvalidInput):
            return self._no_result(order, _refusal(request), str(request))
        if self._clock() > order.deadline and not await self._is_wanted(order.request_id):
            return self._no_result(order, "infra", "its deadline has passed, and nobody waits for it")
        return await self._run(order, request)

    async def _run(self, order: SandboxOrder, request: SandboxRequest) -> SandboxOutcome:
        try:
            async with asyncio.timeout(order.remaining_seconds):
                result = await self._sandbox.run(request)
            return await asyncio.to_thread(
                sendable_outcome, result, request_id=order.request_id, host_id=self._settings.host_id
            )
        except InvalidInput as error:
            return self._no_result(order, _refusal(error), str(error))
        except SandboxUnavailable as error:
            return self._no_result(order, "infra", str(error))
        except TimeoutError:
            return self._no_result(order, "infra", "its deadline passed before the program ended")
        except Exception as error:
            # A host serves many callers: an unforeseen error must not end it.
            _log.exception("program_crashed_the_host", request_id=order.request_id)
            return self._no_result(order, "infra", f"{type(error).__name__}: {error}")

    def cancelled(self, program: Program) -> SandboxOutcome:
        """The outcome of a program that its caller cancelled."""
        return self._no_result(program.order, "infra", "cancelled by its caller")

    async def _is_wanted(self, request_id: str) -> bool:
        """Whether the caller is heard to wait for it: clocks of two machines may differ, and may be set."""
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(_DOUBT_SECONDS):
                while self._wanted.age(request_id, clock()) > _DOUBT_SECONDS:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return False
        return True

    def _no_result(self, order: SandboxOrder, verdict: _NoResult, reason: str) -> SandboxOutcome:
        return SandboxOutcome(
            request_id=order.request_id,
            host_id=self._settings.host_id,
            verdict=verdict,
            reason=bounded(reason),
            backend=self._sandbox.backend,
            isolation=self._sandbox.isolation.value,
        )


def _refusal(error: InvalidInput) -> _NoResult:
    return "unsafe_path" if isinstance(error, UnsafePath) else "invalid_input"
