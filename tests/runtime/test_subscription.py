"""The subscription loop: it skips what it cannot read, and comes back after an outage."""

from __future__ import annotations

import asyncio
from typing import Any

from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.events import EventType, TaskEvent, encode
from contracts.messages.payloads import WorkflowNotice
from contracts.ports.bus import Outgoing
from contracts.runtime.subscription import SubscriptionLoop
from tests.agents.owner import until


def notice(name: str) -> bytes:
    return encode(
        TaskEvent[WorkflowNotice](
            id="e",
            source="test",
            type=EventType.WORKFLOW_CHANGED,
            time="2025-06-15T12:00:00Z",
            data=WorkflowNotice(workflow_id=name, status="running"),
        )
    )


async def test_events_are_handed_over_and_nonsense_is_skipped() -> None:
    bus = MemoryBus(MemoryBroker())
    heard: list[str] = []

    async def hear(event: TaskEvent[Any]) -> None:
        heard.append(event.data.workflow_id)

    loop = SubscriptionLoop(bus, ["c"], hear)
    task = asyncio.create_task(loop.run())
    await loop.listening.wait()
    sent = [("c", b"nonsense"), ("other", notice("w0")), ("c", notice("w1"))]
    await bus.broadcast([Outgoing(channel, payload) for channel, payload in sent])
    await until(lambda: heard == ["w1"])
    task.cancel()
    await asyncio.wait([task])
    assert not loop.listening.is_set()
    await bus.close()


async def test_it_subscribes_again_when_its_subscription_ends() -> None:
    broker = MemoryBroker()
    opened: list[Any] = []

    class Recording(MemoryBus):
        def subscribe(self, channels: Any) -> Any:
            opened.append(super().subscribe(channels))
            return opened[-1]

    bus, heard = Recording(broker), asyncio.Event()

    async def hear(_event: TaskEvent[Any]) -> None:
        heard.set()

    loop, begun = SubscriptionLoop(bus, ["c"], hear), list[bool]()
    task = asyncio.create_task(loop.run(lambda: begun.append(loop.listening.is_set())))
    await loop.listening.wait()
    await opened[0].close()
    await until(lambda: len(opened) == 2 and loop.listening.is_set())
    await bus.broadcast([Outgoing("c", notice("w1"))])
    await heard.wait()
    assert begun == [True, True], "whoever asked is told"
    task.cancel()
    await asyncio.wait([task])
    await bus.close()
