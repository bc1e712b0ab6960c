"""One program at a sandbox host: from a request to the word that goes back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Literal, TypeAlias

import structlog

from contracts.base.errors import InvalidInput, SandboxUnavailable, UnsafePath
from contracts.messages.sandbox import SandboxOrder, SandboxOutcome
from contracts.ports.sandbox import Sandbox, SandboxRequest
from sandbox_runner.service.admission import admit
from sandbox_runner.service.messages import bounded, outcome_of
from sandbox_runner.service.settings import HostSettings

_DOUBT_SECONDS: Final = 2.5
_MOST_REMEMBERED: Final = 10_000
_NoResult: TypeAlias = Literal["infra", "unsafe_path", "invalid_input"]
_log = structlog.get_logger(__name__)


class ProgramExecution:
    """A request in a host's hands. `given_back`: its end is none, somebody else shall run it."""

    def __init__(self, task: asyncio.Task[SandboxOutcome], cancelled: SandboxOutcome) -> None:
        self.task = task
        self.since = asyncio.get_running_loop().time()
        self.given_back = False
        self._cancelled = cancelled

    @property
    def outcome(self) -> SandboxOutcome:
        """To be asked for when the task is done."""
        return self._cancelled if self.task.cancelled() else self.task.result()


class ProgramExecutor:
    """Runs requests. What fails in the sandbox itself, whatever it is, is an outcome of the kind `infra`."""

    def __init__(self, sandbox: Sandbox, settings: HostSettings, clock: Callable[[], float]) -> None:
        self._sandbox = sandbox
        self._settings = settings
        self._clock = clock
        self._wanted: OrderedDict[str, float] = OrderedDict()
        self._heard = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def wanted(self, request_ids: Sequence[str]) -> None:
        """Their caller has just said that it waits for these."""
        now = asyncio.get_running_loop().time()
        for request_id in request_ids:
            self._wanted[request_id] = now
            self._wanted.move_to_end(request_id)
        while len(self._wanted) > _MOST_REMEMBERED:
            self._wanted.popitem(last=False)
        self._heard.set()

    def start(self, order: SandboxOrder) -> ProgramExecution:
        """Begin. Raises DecodeError for a parcel that is none."""
        try:
            request = admit(order, self._settings.most)
        except InvalidInput as error:
            work = self._refused(order, error)
        else:
            work = self._run(order, request)
        task = asyncio.create_task(work, name=f"sandbox-{order.request_id}")
        return ProgramExecution(task, self._outcome(order, "infra", "cancelled by its caller"))

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it run beside; nobody waits for it."""
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _run(self, order: SandboxOrder, request: SandboxRequest) -> SandboxOutcome:
        if self._clock() > order.deadline and not await self._is_wanted(order.request_id):
            return self._outcome(order, "infra", "its deadline has passed, and nobody waits for it")
        try:
            async with asyncio.timeout(order.remaining_seconds):
                result = await self._sandbox.run(request)
            return outcome_of(result, request_id=order.request_id, host_id=self._settings.host_id)
        except InvalidInput as error:
            return self._outcome(order, _refusal(error), str(error))
        except SandboxUnavailable as error:
            return self._outcome(order, "infra", str(error))
        except TimeoutError:
            return self._outcome(order, "infra", "its deadline passed before the program ended")
        except Exception as error:
            # A host serves many callers: what it does not foresee must not end it.
            _log.exception("sandbox_host.crashed", request_id=order.request_id)
            return self._outcome(order, "infra", f"{type(error).__name__}: {error}")

    async def _is_wanted(self, request_id: str) -> bool:
        """Whether the caller is heard to wait for it: clocks of two machines may differ, and may be set."""
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(_DOUBT_SECONDS):
                while clock() - self._wanted.get(request_id, float("-inf")) > _DOUBT_SECONDS:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return False
        return True

    async def _refused(self, order: SandboxOrder, error: InvalidInput) -> SandboxOutcome:
        return self._outcome(order, _refusal(error), str(error))

    def _outcome(self, order: SandboxOrder, verdict: _NoResult, reason: str) -> SandboxOutcome:
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
