"""The holder's side of a lease: which hosts there are, and requests to one of them until each is answered.

Channels are lossy, so what is not answered in a second is asked again; a host answers a repeated request from
memory. Signs of life go to the host as long as a workspace is held, and a host that falls silent has lost it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from contracts.base.errors import BusUnavailable, DecodeError, SandboxUnavailable
from contracts.base.model import Model
from contracts.base.processes.command_lines import Advice
from contracts.messages.channels import Channels
from contracts.messages.events import TaskEvent
from contracts.messages.sandbox import MAX_SANDBOX_MESSAGE_BYTES, SandboxHost
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from contracts.ports.bus import MessageBus
from contracts.runtime.subscription import SubscriptionLoop
from sandbox_runner.service.call_policy import CallTimeouts, KnownHosts
from sandbox_runner.service.messages import Messages
from sandbox_runner.service.remote import NO_HOST
from sandbox_runner.service.workspaces.bodies import ERRORS, Body, fold, unfold

NO_WORKSPACES: Final = Advice(
    "no sandbox host opens workspaces: one does that knows the artifact store; set "
    "MULTI_AGENT_ARTIFACT_STORE to its URL for one, and start it",
    ("worker", "--role", "sandbox"),
)
_REPEAT_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_CLOSE_SECONDS: Final = 20.0
"""For a host to end a workspace; one that takes longer ends it without being waited for."""
_MOST_HEARD: Final = 200
_SILENCES: Final = 2
"""Leases of silence after which a host counts as dead, with the workspaces in it."""
_log = structlog.get_logger(__name__)


class HostFull(SandboxUnavailable):
    """The host opens no more workspaces now."""


class HostLink:
    """What one process hears of hosts, and its leases there."""

    def __init__(
        self,
        bus: MessageBus,
        caller_id: str,
        *,
        timeouts: CallTimeouts | None = None,
        owned: bool = False,
    ) -> None:
        """`caller_id` is unique for the life of the process; `owned`: whether `close` closes the bus too."""
        self._bus, self.caller_id, self._owned = bus, caller_id, owned
        self.timeouts = timeouts or CallTimeouts()
        self._messages = Messages(f"workspace-holder/{caller_id}", time.time)
        self._known = KnownHosts(self.timeouts.lease * _SILENCES)
        self._leases: dict[str, Lease] = {}
        self._jobs: list[asyncio.Task[None]] = []
        self._listening = SubscriptionLoop(
            bus,
            [Channels.sandbox_results(caller_id), Channels.SANDBOX_HOSTS],
            self._hear,
            MAX_SANDBOX_MESSAGE_BYTES,
        )

    async def offered(self) -> bool:
        """Whether a host opens workspaces. Raises SandboxUnavailable when no host is heard in time."""
        return any(host.workspaces is not None for host in await self._hosts())

    async def lease(self, wanted: str = "") -> Lease:
        """A lease at a host with room for a workspace: at `wanted`, if that is one, else where most are free.

        Raises SandboxUnavailable when there is none in time.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.timeouts.queue
        while True:
            opening = [host for host in await self._hosts() if host.workspaces is not None]
            if not opening:
                raise SandboxUnavailable(str(NO_WORKSPACES))
            best = max(opening, key=lambda host: (host.host_id == wanted, host.workspaces or 0))
            best = max(opening, key=lambda host: host.workspaces or 0) if not best.workspaces else best
            if best.workspaces:
                return self._hold(best)
            if clock() > deadline:
                raise SandboxUnavailable("the sandbox hosts have no room for one more workspace")
            await asyncio.sleep(_LOOK_SECONDS)

    def release(self, lease: Lease) -> None:
        """Hear no more of a lease."""
        self._leases.pop(lease.workspace_id, None)

    def hears(self, host_id: str) -> bool:
        """Whether a host lives."""
        return any(host.host_id == host_id for host in self._known.alive(_now()))

    async def send(self, host_id: str, order: WorkspaceOrder) -> None:
        """Tell a host; what is lost is told again."""
        with suppress(BusUnavailable):
            await self._bus.broadcast([self._messages.workspace_order(host_id, order)])

    async def close(self) -> None:
        """Stop listening. Call it when no lease is held."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs.clear()
        if self._owned:
            await self._bus.close()

    async def _hosts(self) -> list[SandboxHost]:
        if not self._jobs:
            jobs = (self._listening.run(), self._stay_alive())
            self._jobs = [asyncio.create_task(job) for job in jobs]
        deadline = _now() + self.timeouts.answer
        while not (hosts := self._known.alive(_now())):
            if _now() > deadline:
                raise SandboxUnavailable(str(NO_HOST))
            await asyncio.sleep(_LOOK_SECONDS)
        return hosts

    def _hold(self, host: SandboxHost) -> Lease:
        lease = Lease(self, host.host_id)
        self._leases[lease.workspace_id] = lease
        return lease

    async def _stay_alive(self) -> None:
        while True:
            await asyncio.sleep(self.timeouts.lease / 3)
            for lease in list(self._leases.values()):
                await self.send(lease.host_id, lease.order("alive"))

    async def _hear(self, event: TaskEvent[Any]) -> None:
        if isinstance(event.data, SandboxHost):
            self._known.handle_heartbeat(event.data, _now())
        elif isinstance(event.data, WorkspaceAnswer):
            # Repeated answers may come when all is over.
            if (lease := self._leases.get(event.data.workspace_id)) is None:
                return
            if lease.host_id != event.data.host_id:
                _log.warning("answer_not_believed", host_id=event.data.host_id)
            else:
                lease.hear(event.data)


class Lease:
    """One workspace at one host. One request is under way at a time, others wait.

    A request raises what its answer says, and SandboxUnavailable when the host or the workspace is gone.
    """

    def __init__(self, link: HostLink, host_id: str) -> None:
        self.host_id, self.workspace_id = host_id, uuid.uuid4().hex
        self._heard: asyncio.Queue[WorkspaceAnswer | None] = asyncio.Queue()
        self._link, self._key = link, secrets.token_hex(32)
        self._number = 0
        self._turn = asyncio.Lock()
        self._calls: set[asyncio.Task[Body]] = set()
        self._lost, self._gone = "", False
        self._closing: asyncio.Task[None] | None = None

    def order(self, kind: Any, number: int = 0, **part: Any) -> WorkspaceOrder:
        """What is said to the host."""
        return WorkspaceOrder(
            workspace_id=self.workspace_id,
            key=self._key,
            caller_id=self._link.caller_id,
            kind=kind,
            number=number,
            **part,
        )

    def hear(self, answer: WorkspaceAnswer) -> None:
        """Take what the host says. Beyond some, the rest is lost, and asked for again."""
        if answer.state == "gone" and self._closing is None:
            self._lose()
        elif self._heard.qsize() < _MOST_HEARD:
            self._heard.put_nowait(answer)

    async def ask(
        self, call: Model, content: bytes = b"", say: Callable[[str], None] = lambda _: None
    ) -> Body:
        """Ask for one thing; it is done to its end, also when the caller is cancelled.

        say: gets what the host says that it works on.
        """
        task = asyncio.ensure_future(self._asked(call, content, say))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        # Nobody may be waiting for it any more.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End the workspace, and whatever is under way. Again is a no-op."""
        self._closing = self._closing or asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._lost = self._lost or "the workspace is closed"
        self._heard.put_nowait(None)
        if self._calls:
            await asyncio.wait(self._calls)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                ended = self._gone
                while not ended and self._link.hears(self.host_id):
                    await self._link.send(self.host_id, self.order("close"))
                    answer = await self._next(0)
                    ended = answer is not None and answer.state == "gone"
        self._link.release(self)

    async def _asked(self, call: Model, content: bytes, say: Callable[[str], None]) -> Body:
        async with self._turn:
            self._check()
            parts = await asyncio.to_thread(fold, call, content)
            self._number += 1
            first = await self._request(parts, say)
            found = [first.body_base64]
            while len(found) < first.parts:
                found.append(await self._part(len(found)))
            try:
                return await asyncio.to_thread(unfold, found)
            except DecodeError as error:
                raise unbelievable(self.host_id, error) from None

    async def _request(self, parts: list[str], say: Callable[[str], None]) -> WorkspaceAnswer:
        at, said = 0, ""
        while True:
            if at < len(parts):
                part = {"part": at, "parts": len(parts), "body_base64": parts[at]}
                order = self.order("request", self._number, **part)
            else:
                order = self.order("answer", self._number)
            await self._link.send(self.host_id, order)
            answer = await self._next(self._number)
            while answer is not None and answer.state == "working":
                at = len(parts)
                if answer.reason and answer.reason != said:
                    say(said := answer.reason)
                answer = await self._next(self._number)
            if answer is None:
                self._check()
            elif answer.state in {"taken", "unknown"}:
                at = min(answer.part + 1, len(parts) - 1) if answer.state == "taken" else 0
            elif answer.part == 0:
                return self._answered(answer)

    async def _part(self, part: int) -> str:
        while True:
            await self._link.send(self.host_id, self.order("answer", self._number, part=part))
            answer = await self._next(self._number)
            if answer is None:
                self._check()
            elif answer.part == part or answer.state not in {"answered", "working"}:
                return self._answered(answer).body_base64

    def _answered(self, answer: WorkspaceAnswer) -> WorkspaceAnswer:
        """The answer. Raises what it says."""
        if answer.state == "answered":
            return answer
        if answer.state == "full":
            raise HostFull(f"sandbox host {self.host_id} has no room for one more workspace")
        if answer.state == "refused":
            raise ERRORS.get(answer.error, SandboxUnavailable)(answer.reason)
        self._lose()
        raise SandboxUnavailable(self._lost)

    def _lose(self) -> None:
        self._gone = True
        self._lost = self._lost or f"the workspace is gone: sandbox host {self.host_id} has it no more"
        self._heard.put_nowait(None)

    async def _next(self, number: int) -> WorkspaceAnswer | None:
        """The next answer to a request; None when there is none in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._link.timeouts.lease / 6, _REPEAT_SECONDS)):
                while True:
                    answer = await self._heard.get()
                    if answer is None or answer.number == number:
                        return answer
        return None

    def _check(self) -> None:
        """Raise SandboxUnavailable once the workspace is lost."""
        if not self._lost and not self._link.hears(self.host_id):
            self._lost = f"the workspace is gone: sandbox host {self.host_id} is silent"
        if self._lost:
            raise SandboxUnavailable(self._lost)


def unbelievable(host_id: str, error: Exception) -> SandboxUnavailable:
    """The error for an answer that no host of ours gives."""
    return SandboxUnavailable(f"sandbox host {host_id} sent an answer that cannot be used: {error}")


def _now() -> float:
    return asyncio.get_running_loop().time()
