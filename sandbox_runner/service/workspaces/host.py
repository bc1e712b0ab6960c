"""The host's side: workspaces for others, each bound to its holder by a lease.

Who does not know the key of a workspace is not answered. A holder that falls silent loses it.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import structlog
from pydantic import ValidationError

from contracts.base.errors import BusUnavailable, DecodeError, MultiAgentError
from contracts.base.text import bounded
from contracts.messages.channels import Channels
from contracts.messages.events import TaskEvent
from contracts.messages.sandbox import MAX_SANDBOX_MESSAGE_BYTES
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from contracts.ports.bus import MessageBus
from contracts.ports.workspace import Workspace
from contracts.runtime.subscription import SubscriptionLoop
from sandbox_runner.service.messages import Messages
from sandbox_runner.service.settings import HostSettings
from sandbox_runner.service.workspaces.bodies import ERRORS, fold, unfold, unreadable
from sandbox_runner.service.workspaces.calls import CALLS
from sandbox_runner.service.workspaces.serving import Served

_ROOMS_PER_SLOT: Final = 4
_SILENCES: Final = 2
_log = structlog.get_logger(__name__)


class Rooms(NamedTuple):
    """How many workspaces would be opened now.

    A task may hold one that lasts while it wants a fresh one. Were all rooms held by such tasks, each would
    wait for another one until its lease ends. So those that last get half of the rooms. In the other half are
    brief ones alone, whose holders end them whatever happens elsewhere, and each of them makes room for the
    next fresh one.
    """

    all: int
    """For brief ones."""
    lasting: int


NO_ROOMS: Final = Rooms(0, 0)


@dataclass(slots=True)
class _Held:
    """A workspace; times are monotonic."""

    key: str
    caller_id: str
    brief: bool
    heard: float
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Releases what it has."""
    workspace: Workspace | None = None
    number: int = 0
    """Of the request that is received, worked on, or answered."""
    parts: list[str] = field(default_factory=list)
    """Of the request, as far as they have arrived."""
    work: asyncio.Task[None] | None = None
    working_at: str = ""
    answer: list[str] = field(default_factory=list)
    """Its parts; those before one that was asked for have arrived, and are "" from then on."""
    refusal: tuple[str, str] | None = None
    """Error and reason."""
    ending: asyncio.Task[None] | None = None

    def has_arrived(self, order: WorkspaceOrder) -> None:
        """Drop the parts of the answer that are before the one that is asked for."""
        if order.number == self.number and order.part < len(self.answer):
            self.answer[: order.part] = [""] * order.part


class HostedWorkspaces:
    """Answers orders. Raises nothing: what fails is told to the holder."""

    def __init__(self, bus: MessageBus, served: Served, settings: HostSettings, messages: Messages) -> None:
        self._bus, self._served, self._messages = bus, served, messages
        self._settings = settings
        # Apart from what the host hears besides: a server may allow that alone.
        self._orders = SubscriptionLoop(
            bus, [Channels.sandbox_workspaces(settings.host_id)], self._hear, MAX_SANDBOX_MESSAGE_BYTES
        )
        self._held: dict[str, _Held] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def rooms(self) -> Rooms | None:
        """How many more would be opened now; None where the server forbids to hear orders."""
        if self._orders.listening.is_set():
            return self._rooms()
        return None if self._orders.refused else NO_ROOMS

    def _rooms(self) -> Rooms:
        most = 0 if self._closed else self._settings.slots * _ROOMS_PER_SLOT
        free = max(most - len(self._held), 0)
        lasting = sum(not held.brief for held in self._held.values())
        return Rooms(free, min(free, max(most // 2 - lasting, 0)))

    async def listen(self, changed: Callable[[], None]) -> None:
        """Hear orders, until cancelled. changed: see SubscriptionLoop.run."""
        await self._orders.run(changed)

    async def _hear(self, event: TaskEvent[Any]) -> None:
        if isinstance(event.data, WorkspaceOrder):
            self.obey(event.data)

    async def watch(self) -> None:
        """End the workspaces of holders that are silent, until cancelled."""
        lease = self._settings.lease_seconds
        while True:
            await asyncio.sleep(lease / 4)
            for name, held in list(self._held.items()):
                if _now() - held.heard > lease * _SILENCES:
                    _log.info("workspace_lease_expired", workspace_id=name, caller_id=held.caller_id)
                    self._end(name, held)

    async def close(self) -> None:
        """End all, and tell their holders."""
        self._closed = True
        held = list(self._held.items())
        if endings := [self._end(name, one) for name, one in held]:
            # Not gather: who gives up this wait must not give up what it waits for.
            await asyncio.wait(endings)
        for name, one in held:
            await self._tell(one.caller_id, self._answer(name, one.number, "gone"))

    def obey(self, order: WorkspaceOrder) -> None:
        """Do what a holder says; the answer follows."""
        name, held = order.workspace_id, self._held.get(order.workspace_id)
        if held is None:
            if order.kind == "alive":
                return None
            if order.kind != "request" or order.number != 1:
                return self._reply(order.caller_id, self._answer(name, order.number, "gone"))
            if not (self._rooms().all if order.brief else self._rooms().lasting):
                return self._reply(order.caller_id, self._answer(name, order.number, "full"))
            held = self._held[name] = _Held(order.key, order.caller_id, bool(order.brief), _now())
        elif not hmac.compare_digest(held.key, order.key) or held.caller_id != order.caller_id:
            _log.warning("order_not_of_the_holder", workspace_id=name, caller_id=order.caller_id)
            return None
        held.heard = _now()
        if held.ending is not None and order.kind != "close":
            return self._reply(order.caller_id, self._answer(name, order.number, "gone"))
        if order.kind == "request":
            self._receive(name, held, order)
        elif order.kind == "answer":
            held.has_arrived(order)
            self._reply(held.caller_id, self._state(name, held, order.number, order.part))
        elif order.kind == "close":
            self._run(self._farewell(name, held))
        return None

    def _receive(self, name: str, held: _Held, order: WorkspaceOrder) -> None:
        if order.number == held.number + 1 and (held.work is None or held.work.done()):
            held.number, held.parts, held.work = order.number, [], None
            held.answer, held.refusal, held.working_at = [], None, ""
        if order.number == held.number and held.work is None:
            if order.part == len(held.parts):
                held.parts.append(order.body_base64)
            if len(held.parts) == order.parts:
                held.work = self._run(self._work(name, held))
        self._reply(held.caller_id, self._state(name, held, order.number, 0))

    def _state(self, name: str, held: _Held, number: int, part: int) -> WorkspaceAnswer | None:
        """What is known of a request; None for a part that its holder has."""
        if number != held.number:
            return self._answer(name, number, "unknown")
        if held.work is None:
            return self._answer(name, number, "taken" if held.parts else "unknown", part=len(held.parts) - 1)
        if held.refusal:
            error, reason = held.refusal
            return self._answer(name, number, "refused", error=error, reason=reason)
        if not held.answer:
            return self._answer(name, number, "working", reason=held.working_at)
        if part >= len(held.answer):
            return self._answer(name, number, "unknown")
        body, parts = held.answer[part], len(held.answer)
        answer = self._answer(name, number, "answered", part=part, parts=parts, body_base64=body)
        return answer if body else None

    async def _work(self, name: str, held: _Held) -> None:
        try:
            parts, held.parts = held.parts, []
            held.answer = await self._answered(held, parts)
        except (MultiAgentError, ValidationError) as error:
            held.refusal = _refusal(error)
        except Exception as error:
            # A host serves many: an unforeseen error must not end it.
            _log.exception("request_crashed_the_host", workspace_id=name)
            held.refusal = ("sandbox_unavailable", f"sandbox host {self._settings.host_id}: {error!r}"[:300])
        await self._tell(held.caller_id, self._state(name, held, held.number, 0))

    async def _answered(self, held: _Held, parts: list[str]) -> list[str]:
        body = await asyncio.to_thread(unfold, parts)
        call = await asyncio.to_thread(CALLS.validate_json, body.text)

        def say(line: str) -> None:
            held.working_at = bounded(line)

        if held.workspace is None:
            held.workspace, answer = await self._served.begin(call, body.content, held.stack, say)
            _log.info("workspace_call", call=call.call, caller_id=held.caller_id)
            return await asyncio.to_thread(fold, answer)
        answer, content = await self._served.serve(held.workspace, call, body.content)
        return await asyncio.to_thread(fold, answer, content)

    async def _farewell(self, name: str, held: _Held) -> None:
        await self._end(name, held)
        await self._tell(held.caller_id, self._answer(name, 0, "gone"))

    def _end(self, name: str, held: _Held) -> asyncio.Task[None]:
        """End a workspace once, whoever asks."""
        if held.ending is None:
            held.ending = self._run(self._ended(name, held))
        return held.ending

    async def _ended(self, name: str, held: _Held) -> None:
        try:
            if held.workspace is not None:
                await held.workspace.close()
            elif held.work is not None:
                held.work.cancel()
            if held.work is not None:
                await asyncio.wait([held.work])
        except Exception:
            _log.exception("workspace_not_ended", workspace_id=name)
        finally:
            self._held.pop(name, None)
            await held.stack.aclose()

    def _answer(self, name: str, number: int, state: Any, **more: Any) -> WorkspaceAnswer:
        host_id = self._settings.host_id
        more["part"] = max(more.get("part", 0), 0)
        return WorkspaceAnswer(workspace_id=name, host_id=host_id, number=number, state=state, **more)

    def _reply(self, caller_id: str, answer: WorkspaceAnswer | None) -> None:
        self._run(self._tell(caller_id, answer))

    async def _tell(self, caller_id: str, answer: WorkspaceAnswer | None) -> None:
        if answer is not None:
            with suppress(BusUnavailable):
                await self._bus.broadcast([self._messages.workspace_answer(caller_id, answer)])

    def _run(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task


def _refusal(error: MultiAgentError | ValidationError) -> tuple[str, str]:
    if isinstance(error, ValidationError):
        error = unreadable(error, b"")
    if isinstance(error, DecodeError):
        return "invalid_input", f"the request cannot be read: {error}"
    kind = next((name for name, kind in ERRORS.items() if isinstance(error, kind)), "sandbox_unavailable")
    return kind, bounded(str(error))


def _now() -> float:
    return asyncio.get_running_loop().time()
