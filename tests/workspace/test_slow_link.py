"""A slow link to a sandbox host: what is under way is not asked for again and again."""

from __future__ import annotations

import asyncio
import os

from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from sandbox_runner.service.call_policy import CallTimeouts, RepeatPace
from sandbox_runner.service.workspaces.bodies import fold
from sandbox_runner.service.workspaces.calls import Nothing, PrepareCall
from sandbox_runner.service.workspaces.lease import Lease

SECONDS = 0.2
"""How long a part is on its way."""


class SlowLink:
    """The way to a host that answers each request with `answer`, one message after the other."""

    caller_id = "caller"
    timeouts = CallTimeouts(lease=0.3)

    def __init__(self, answer: list[str], works: int = 0) -> None:
        """`works`: how often the host says that it works before it answers."""
        self._works = works
        self.sent: list[WorkspaceOrder] = []
        self.lease = Lease(self, "host-1")
        self._answer, self._arrived, self._parts = answer, 0, 1
        self._there: asyncio.Queue[WorkspaceOrder] = asyncio.Queue()
        self._back: asyncio.Queue[WorkspaceAnswer] = asyncio.Queue()
        self._tasks = [asyncio.create_task(job) for job in (self._serve(), self._bring_back())]

    def hears(self, host_id: str) -> bool:
        return True

    async def send(self, host_id: str, order: WorkspaceOrder) -> None:
        self.sent.append(order)
        self._there.put_nowait(order)

    def release(self, workspace_id: str) -> None:
        for task in self._tasks:
            task.cancel()

    async def _serve(self) -> None:
        while True:
            order = await self._there.get()
            await asyncio.sleep(SECONDS if order.kind == "request" else 0)
            if order.kind == "request" and order.part == self._arrived:
                self._arrived, self._parts = self._arrived + 1, order.parts
            self._back.put_nowait(self._said(order))

    def _said(self, order: WorkspaceOrder) -> WorkspaceAnswer:
        told = {"workspace_id": order.workspace_id, "host_id": "host-1", "number": order.number}
        if order.kind == "close":
            return WorkspaceAnswer.model_validate({**told, "state": "gone"})
        if self._arrived < self._parts:
            return WorkspaceAnswer.model_validate({**told, "state": "taken", "part": self._arrived - 1})
        if self._works:
            self._works -= 1
            return WorkspaceAnswer.model_validate({**told, "state": "working"})
        part = order.part if order.kind == "answer" else 0
        found = {"state": "answered", "part": part, "parts": len(self._answer)}
        return WorkspaceAnswer.model_validate({**told, **found, "body_base64": self._answer[part]})

    async def _bring_back(self) -> None:
        while True:
            answer = await self._back.get()
            await asyncio.sleep(SECONDS if answer.body_base64 else 0)
            self.lease.hear(answer)


LARGE = os.urandom(3_500_000)
PARTS = 4


async def test_parts_of_an_answer_that_are_under_way_are_not_asked_for_again_and_again() -> None:
    link = SlowLink(fold(Nothing(), LARGE))
    body = await link.lease.ask(PrepareCall(commit="0" * 40))
    asked = [order.part for order in link.sent if order.kind == "answer"]
    await link.lease.close()
    assert body.content == LARGE
    assert len(asked) <= 2 * PARTS, asked


async def test_parts_of_a_request_that_are_under_way_are_not_sent_again_and_again() -> None:
    link = SlowLink(fold(Nothing()))
    await link.lease.ask(PrepareCall(commit="0" * 40), LARGE)
    sent = [order.part for order in link.sent if order.kind == "request"]
    await link.lease.close()
    assert sorted(set(sent)) == [*range(PARTS)]
    assert len(sent) <= 2 * PARTS, sent


async def test_a_request_that_is_worked_on_is_not_sent_again() -> None:
    link = SlowLink(fold(Nothing()), works=8)
    await link.lease.ask(PrepareCall(commit="0" * 40))
    sent = [order.part for order in link.sent if order.kind == "request"]
    await link.lease.close()
    assert len(sent) <= 4, "as long as nothing was heard of it"


def test_the_wait_doubles_until_something_arrives_and_follows_how_long_that_took() -> None:
    pace, waits = RepeatPace(1.0), list[float]()
    for _ in range(6):
        pace.repeated()
        waits.append(pace.seconds)
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    for took in (0.1, 20.0, 5.0, 0.1, 0.1, 0.1, 0.1, 0.1):
        pace.arrived(took)
        waits.append(pace.seconds)
    # The first arrival may belong to any repetition.
    assert waits[6:] == [30.0, 30.0, 15.0, 7.5, 3.75, 1.875, 1.0, 1.0]
