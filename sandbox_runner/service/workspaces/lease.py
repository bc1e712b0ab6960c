"""A lease: one workspace at one host, from its holder's side. What is not answered soon is asked again."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from contracts.base.errors import DecodeError, NotPermitted, SandboxUnavailable
from contracts.base.model import Model
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from sandbox_runner.service.call_policy import CallTimeouts, RepeatPace
from sandbox_runner.service.workspaces.bodies import ERRORS, Body, fold, unfold

_REPEAT_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 20.0
"""For a host to end a workspace; one that takes longer ends it without being waited for."""
_MOST_HEARD: Final = 200


class ToHosts(Protocol):
    """The way to the hosts."""

    caller_id: str
    timeouts: CallTimeouts

    def hears(self, host_id: str) -> bool:
        """Whether a host lives."""

    async def send(self, host_id: str, order: WorkspaceOrder) -> None:
        """Tell a host; what is lost is told again."""

    def release(self, workspace_id: str) -> None:
        """Hear no more of a workspace."""


class HostFull(SandboxUnavailable):
    """The host opens no more workspaces now."""


class Lease:
    """One workspace at one host. One request is under way at a time, others wait.

    A request raises what its answer says, and SandboxUnavailable when the host or the workspace is gone.
    """

    def __init__(self, link: ToHosts, host_id: str, *, brief: bool = False) -> None:
        self.host_id, self.workspace_id, self._brief = host_id, uuid.uuid4().hex, brief
        self._heard: asyncio.Queue[WorkspaceAnswer | None] = asyncio.Queue()
        self._link, self._key = link, secrets.token_hex(32)
        self._number = 0
        self._pace = RepeatPace(min(link.timeouts.lease / 6, _REPEAT_SECONDS))
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
            brief=self._brief or None,
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
        task = asyncio.ensure_future(self._asked(call, content, _once(say)))
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
        with suppress(TimeoutError, NotPermitted):
            async with asyncio.timeout(_CLOSE_SECONDS):
                ended = self._gone
                while not ended and self._link.hears(self.host_id):
                    await self._link.send(self.host_id, self.order("close"))
                    answer = await self._next(0)
                    ended = answer is not None and answer.state == "gone"
        self._link.release(self.workspace_id)

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
        at, asks, asked = 0, False, -1
        while True:
            if asks or at == len(parts):
                order = self.order("answer", self._number)
            else:
                part = {"part": at, "parts": len(parts), "body_base64": parts[at]}
                order = self.order("request", self._number, **part)
            answer = await self._reply(order, partial(_goes_on, at, asks), say)
            if answer is None:
                # It may be under way still: what has arrived is asked once, but not before the first.
                asks = at != asked and (self._number, at) != (1, 0)
                asked = at
            elif answer.state == "working":
                at, asks = len(parts), False
            elif answer.state in {"taken", "unknown"}:
                at, asks = answer.part + 1 if answer.state == "taken" else 0, False
            else:
                return self._answered(answer)

    async def _part(self, part: int) -> str:
        order = self.order("answer", self._number, part=part)
        while True:
            answer = await self._reply(order, partial(_is_part, part))
            if answer is not None and answer.state == "answered":
                return answer.body_base64

    async def _reply(
        self,
        order: WorkspaceOrder,
        fits: Callable[[WorkspaceAnswer], bool],
        say: Callable[[str], None] = lambda _: None,
    ) -> WorkspaceAnswer | None:
        """Say it, and wait for an answer that fits; when it is time to say more, None or that it works."""
        clock = asyncio.get_running_loop().time
        await self._link.send(self.host_id, order)
        sent, working = clock(), None
        while clock() - sent < self._pace.seconds:
            answer = await self._next(self._number)
            if answer is None:
                self._check()
            elif answer.state == "working":
                working = answer
                say(answer.reason)
            elif fits(answer):
                if working is None:
                    self._pace.arrived(clock() - sent)
                return answer
        if working is None:
            self._pace.repeated()
        return working

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
            async with asyncio.timeout(self._pace.least):
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


def _goes_on(at: int, asks: bool, answer: WorkspaceAnswer) -> bool:
    """Whether it is news to whoever has sent the part `at` of a request, or then asked what has arrived."""
    match answer.state:
        case "taken":
            return asks or answer.part >= at
        case "unknown":
            return asks
        case _:
            return answer.part == 0


def _is_part(part: int, answer: WorkspaceAnswer) -> bool:
    return answer.state == "answered" and answer.part == part


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Say what is new."""
    said = ""

    def say_new(line: str) -> None:
        nonlocal said
        if line and line != said:
            said = line
            say(line)

    return say_new


def unbelievable(host_id: str, error: Exception) -> SandboxUnavailable:
    """The error for an answer that no host of ours gives."""
    return SandboxUnavailable(f"sandbox host {host_id} sent an answer that cannot be used: {error}")
