"""`from contracts import get_message_bus, Channels, EventType, TaskEvent`: events without asyncio."""

from __future__ import annotations

import gc
import queue
import subprocess
import sys
import threading
import uuid
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts import Channels, EventType, TaskEvent, get_message_bus
from contracts.base.errors import BusUnavailable, InvalidDocument, InvalidInput, NotConfigured
from contracts.bus.blocking import BlockingMessageBus
from contracts.documents.todo_list import TodoItem
from contracts.messages.events import decode, encode
from contracts.messages.payloads import TaskRequest
from tests.support.redis_servers import PrivateRedis

ITEM = {"task_id": "t1", "title": "Write x", "agent_role": "coder", "output_artifacts": ["codes/x.py"]}
SECONDS = 20


def dispatched(task_id: str = "t1") -> TaskEvent[Any]:
    return TaskEvent.create(
        event_type=EventType.TASK_DISPATCHED,
        correlation_id="c1",
        workflow_id="w1",
        task_id=task_id,
        data={"item": ITEM, "request": "Write x"},
        source="my-script",
    )


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    redis = PrivateRedis().start()
    try:
        yield redis.url
    finally:
        redis.stop()


@pytest.fixture(params=["memory", "redis"])
def bus(request: pytest.FixtureRequest) -> Iterator[BlockingMessageBus]:
    memory = request.param == "memory"
    url = f"memory://{uuid.uuid4().hex}" if memory else request.getfixturevalue("redis_url")
    with get_message_bus(url) as made:
        yield made


class Heard:
    """A handler that keeps what it was called with."""

    def __init__(self) -> None:
        self._events: queue.Queue[TaskEvent[Any]] = queue.Queue()

    def __call__(self, event: TaskEvent[Any]) -> None:
        self._events.put(event)

    def next(self) -> TaskEvent[Any]:
        return self._events.get(timeout=SECONDS)

    @property
    def empty(self) -> bool:
        return self._events.empty()


def test_an_event_has_its_ids_and_its_time() -> None:
    event = dispatched()
    assert (event.type, event.source, event.subject) == ("multiagent.task.dispatched", "my-script", "t1")
    assert (event.correlationid, event.workflowid, event.taskid) == ("c1", "w1", "t1")
    assert isinstance(event.data, TaskRequest)
    assert event.data.item.output_artifacts == event.data.writable == ("codes/x.py",)
    assert decode(encode(event)) == event
    assert dispatched().id != event.id
    assert dispatched().data.dispatch_id != event.data.dispatch_id


@pytest.mark.parametrize("data", [ITEM, TodoItem.model_validate(ITEM), {"item": ITEM}, dispatched().data])
def test_a_dispatch_may_be_said_in_few_words(data: Any) -> None:
    event = TaskEvent.create(event_type=EventType.TASK_DISPATCHED, data=data, source="me")
    assert event.data.item == TodoItem.model_validate(ITEM)


def test_what_is_no_event_is_refused_with_every_fault() -> None:
    with pytest.raises(InvalidDocument) as caught:
        TaskEvent.create(
            event_type=EventType.TASK_FINISHED, data={"status": "done"}, source="me", workflow_id="a b"
        )
    named = {problem.path for problem in caught.value.problems}
    assert {"$.workflowid", "$.data.status", "$.data.dispatch_id"} <= named
    with pytest.raises(InvalidInput, match=r"event_type 'task\.done' is none of TASK_DISPATCHED, "):
        TaskEvent.create(event_type="task.done", data={}, source="me")  # type: ignore[arg-type]
    with pytest.raises(InvalidDocument, match="cannot be written as JSON"):
        TaskEvent.create(event_type=EventType.TASK_DISPATCHED, data={"x": {1}}, source="me")


def test_a_handler_gets_the_events_in_order(bus: BlockingMessageBus) -> None:
    heard = Heard()
    bus.subscribe(Channels.AGENT_REQUESTS, heard)
    events = [dispatched(f"t{number}") for number in range(5)]
    for event in events:
        bus.publish(Channels.AGENT_REQUESTS, event)
    assert [heard.next() for _ in events] == events


def test_the_channels_below_are_heard_too_and_others_are_not(bus: BlockingMessageBus) -> None:
    heard, coders = Heard(), Heard()
    bus.subscribe(Channels.AGENT_REQUESTS, heard)
    bus.subscribe(Channels.requests("coder"), coders)
    bus.publish(Channels.AGENT_RESULTS, dispatched("t0"))
    bus.publish(Channels.requests("coder"), dispatched("t1"))
    bus.publish(Channels.requests("tester"), dispatched("t2"))
    assert [heard.next().taskid, heard.next().taskid, coders.next().taskid] == ["t1", "t2", "t1"]
    assert coders.empty


def test_a_handler_may_publish_and_may_fail(bus: BlockingMessageBus) -> None:
    answers = Heard()

    def handler(event: TaskEvent[Any]) -> None:
        bus.publish(Channels.AGENT_RESULTS, event)
        raise ValueError("after its work")

    bus.subscribe(Channels.AGENT_RESULTS, answers)
    bus.subscribe(Channels.AGENT_REQUESTS, handler)
    with capture_logs() as logs:
        for task_id in ("t1", "t2"):
            bus.publish(Channels.AGENT_REQUESTS, dispatched(task_id))
            assert answers.next().taskid == task_id
        bus.close()
    assert [(entry["event"], entry["channel"]) for entry in logs] == [
        ("event_handler_failed", Channels.AGENT_REQUESTS)
    ] * 2


def test_who_unsubscribed_hears_nothing_more(bus: BlockingMessageBus) -> None:
    ended, closed, kept = Heard(), Heard(), Heard()
    bus.subscribe(Channels.AGENT_REQUESTS, kept)
    bus.subscribe(Channels.AGENT_REQUESTS, ended)
    with bus.subscribe(Channels.AGENT_REQUESTS, closed) as subscription:
        bus.unsubscribe(Channels.AGENT_REQUESTS, ended)
    subscription.close()
    bus.publish(Channels.AGENT_REQUESTS, dispatched())
    assert kept.next().taskid == "t1"
    assert ended.empty
    assert closed.empty


def test_a_handler_may_close_its_own_bus(bus: BlockingMessageBus) -> None:
    done = threading.Event()

    def handler(_: TaskEvent[Any]) -> None:
        bus.close()
        done.set()

    bus.subscribe(Channels.AGENT_REQUESTS, handler)
    bus.publish(Channels.AGENT_REQUESTS, dispatched())
    assert done.wait(SECONDS)
    with pytest.raises(InvalidInput, match=r"closed; get_message_bus\(\) gives another"):
        bus.publish(Channels.AGENT_REQUESTS, dispatched())


def test_a_closed_bus_leaves_no_thread(bus: BlockingMessageBus) -> None:
    bus.subscribe(Channels.AGENT_REQUESTS, Heard())
    bus.close()
    bus.close()
    left = {thread.name for thread in threading.enumerate()} & {"event-handler", "event-loop"}
    assert not left


def test_mistakes_are_named(bus: BlockingMessageBus) -> None:
    with pytest.raises(InvalidInput, match=r"event is a dict; make one with TaskEvent\.create"):
        bus.publish(Channels.AGENT_REQUESTS, {"type": "x"})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="channel '' is none"):
        bus.publish("", dispatched())
    with pytest.raises(InvalidInput, match="handler is a NoneType"):
        bus.subscribe(Channels.AGENT_REQUESTS, None)  # type: ignore[arg-type]
    with pytest.raises(NotConfigured, match="redis://"):
        get_message_bus("localhost:6379")
    with pytest.raises(InvalidInput, match="url is a int"):
        get_message_bus(6379)


def test_nobody_there_is_said_at_once() -> None:
    with get_message_bus("unix:///absent/redis.sock") as bus:
        with pytest.raises(BusUnavailable, match=r"/absent/redis\.sock"):
            bus.publish(Channels.AGENT_REQUESTS, dispatched())
        with pytest.raises(BusUnavailable, match=r"/absent/redis\.sock"):
            bus.subscribe(Channels.AGENT_REQUESTS, Heard())


def test_the_environment_says_where_the_bus_is(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    heard = Heard()
    with get_message_bus() as mine, get_message_bus(redis_url) as other:
        mine.subscribe(Channels.AGENT_REQUESTS, heard)
        other.publish(Channels.AGENT_REQUESTS, dispatched())
        assert heard.next().taskid == "t1"


SCRIPT = """
import sys, threading
from contracts import Channels, EventType, TaskEvent, get_message_bus

heard = threading.Event()

def handler(event):
    heard.set()
    {body}

bus = get_message_bus(sys.argv[1])
bus.subscribe(Channels.AGENT_REQUESTS, handler)
data = {{"task_id": "t1", "title": "Write x", "agent_role": "coder"}}
event = TaskEvent.create(event_type=EventType.TASK_DISPATCHED, data=data, source="me")
bus.publish(Channels.AGENT_REQUESTS, event)
assert heard.wait(20)
{end}
"""


def run_script(url: str, *, body: str = "pass", end: str = "") -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(body=body, end=end)
    return subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, timeout=60, check=False
    )


BUSY_HANDLER = """
    while True:
        bus.publish(Channels.AGENT_RESULTS, event)
"""


@pytest.mark.parametrize("body", ["pass", BUSY_HANDLER])
@pytest.mark.parametrize("memory", [True, False])
def test_a_script_that_never_closes_its_bus_ends_quietly(body: str, memory: bool, redis_url: str) -> None:
    ended = run_script("memory://script" if memory else redis_url, body=body)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


def test_the_error_of_a_handler_is_told_on_stderr_alone() -> None:
    ended = run_script("memory://script", body="raise ValueError('after its work')", end="bus.close()")
    assert (ended.stdout, ended.returncode) == ("", 0)
    assert "event_handler_failed" in ended.stderr
    assert "ValueError: after its work" in ended.stderr


class Unhashable(list[TaskEvent[Any]]):
    """A handler that cannot be in a set."""

    def __call__(self, event: TaskEvent[Any]) -> None:
        self.append(event)


def test_a_handler_need_not_be_hashable(bus: BlockingMessageBus) -> None:
    ended, kept = Unhashable(), Heard()
    bus.subscribe(Channels.AGENT_REQUESTS, kept)
    bus.subscribe(Channels.AGENT_REQUESTS, ended)
    bus.unsubscribe(Channels.AGENT_REQUESTS, ended)
    bus.publish(Channels.AGENT_REQUESTS, dispatched())
    assert kept.next().taskid == "t1"
    assert ended == []


def test_a_subscription_that_ended_is_forgotten(bus: BlockingMessageBus) -> None:
    heard = Heard()
    subscription = bus.subscribe(Channels.AGENT_REQUESTS, heard)
    subscription.close()
    gone = weakref.ref(subscription)
    del subscription
    gc.collect()
    assert gone() is None
