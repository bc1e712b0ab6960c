"""The worker loop over the bus in memory and a real Git store."""

from __future__ import annotations

import asyncio
import base64

import pytest

from agents import AgentResult, Task, agent
from artifacts import GitArtifactStore
from contracts.base.errors import SandboxUnavailable
from contracts.base.secrets.patterns import without_secret_patterns
from contracts.base.secrets.redaction import Redactor
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import encode
from contracts.ports.bus import Delivery
from tests.agents.actors import Gate, Quick
from tests.agents.owner import CODER, RESULTS, SUSPECTS, Owner, running, until, worker
from tests.agents.support import request_event, task_request


async def test_it_announces_itself_before_it_reads_and_lists_what_it_holds(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    await owner.dispatch(*(task_request(dispatch_id=f"d{n}", task_id=f"t{n}") for n in range(3)))
    async with running(worker(bus, store, gate.agent(), slots=2)):
        await until(lambda: len(gate.entered) == 2 and len(owner.heartbeats) > 2)
        first = owner.heartbeats[0]
        assert (first.sequence, first.executions) == (0, ())
        assert (first.roles, first.streams, first.slots) == (("coder",), (CODER, SUSPECTS), 2)
        await until(lambda: len(owner.heartbeats[-1].executions) == 2)
        held = owner.heartbeats[-1].executions
        assert [(each.dispatch_id, each.started) for each in held] == [("d0", True), ("d1", True)]
        assert len(await owner.unacknowledged()) == 2
        gate.open.set()
        await owner.outcomes(3)


async def test_what_is_read_beyond_the_slots_waits_and_is_listed(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    tagged = gate.agent()
    agent(role="coder", tags=("rust",))(tagged)
    rust = Channels.requests("coder", "rust")
    await owner.serve(rust)
    await owner.dispatch(task_request(dispatch_id="d0"))
    payload = encode(request_event(task_request(dispatch_id="d1", task_id="t1", required_tag="rust")))
    await owner.dispatch_raw(payload, stream=rust)
    async with running(worker(bus, store, tagged, slots=1)):
        await until(lambda: bool(owner.heartbeats) and len(owner.heartbeats[-1].executions) == 2)
        started = {each.dispatch_id: each.started for each in owner.heartbeats[-1].executions}
        assert sorted(started.values()) == [False, True]
        assert len(gate.entered) == 1
        gate.open.set()
        await owner.outcomes(2)


async def test_a_missing_group_is_announced_and_waited_for(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, broker: MemoryBroker
) -> None:
    async with running(worker(bus, store, Quick, heartbeat_seconds=60)):
        await until(lambda: len(owner.heartbeats) == 1)
        broker.lose_memory()
        await until(lambda: len(owner.heartbeats) == 2)
        await owner.serve(CODER)
        await bus.ensure_group(RESULTS, Channels.ORCHESTRATORS_GROUP)
        await owner.dispatch(task_request())
        assert (await owner.outcome()).status == "succeeded"


async def test_why_an_attempt_failed_holds_no_secret(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    pattern, known = "sk-ant-api03-CanaryAb1cD2eF3gH4iJ5kL6", "canary-known"

    @agent(role="coder")
    class Telling:
        async def run(self, task: Task) -> AgentResult:
            raise ValueError(f"{pattern} and {known}")

    def redact(text: str) -> str:
        return without_secret_patterns(Redactor([known])(text))

    async with running(worker(bus, store, Telling, redact=redact)):
        await owner.dispatch(task_request())
        outcome = await owner.outcome()
    assert outcome.error is not None
    assert outcome.error.message == "ValueError: [secret] and [secret]"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\x00 no event", "no event of ours"),
        (b'{"type":"multiagent.task.dispatched"}', "does not fit its schema"),
        (encode(request_event(task_request(role="painter"))), "no agent here"),
        (encode(request_event(task_request()).model_copy(update={"taskid": "other"})), "does not say"),
    ],
)
async def test_i7_what_cannot_be_understood_is_dead_lettered_and_stops_nobody(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, payload: bytes, reason: str
) -> None:
    async with running(worker(bus, store, Quick)):
        await owner.dispatch_raw(payload)
        await owner.dispatch(task_request())
        assert (await owner.outcome()).status == "succeeded"
        [dead] = await owner.outcomes(1, Channels.DEAD_LETTERS)
        await owner.settled()
    assert base64.b64decode(dead.data.raw_base64) == payload
    assert dead.data.stream == CODER
    assert reason in dead.data.reason


async def test_a_huge_message_is_dead_lettered_cut(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    async with running(worker(bus, store, Quick)):
        await owner.dispatch_raw(b"x" * 10_000_000)
        [dead] = await owner.outcomes(1, Channels.DEAD_LETTERS)
    assert "the first 2000000 of 10000000 bytes are kept" in dead.data.reason


async def test_a_bus_that_breaks_its_word_ends_the_worker_with_its_error(
    owner: Owner, store: GitArtifactStore, broker: MemoryBroker
) -> None:
    class Broken(MemoryBus):
        async def read(self, *args: object, **options: object) -> list[Delivery]:
            raise ZeroDivisionError

    bus = Broken(broker)
    with pytest.raises(ZeroDivisionError):
        await worker(bus, store, Quick).run()
    await until(lambda: bool(owner.left))
    await bus.close()


async def test_an_event_that_is_no_request_is_dead_lettered(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    async with running(worker(bus, store, Quick)):
        await owner.dispatch(task_request())
        [event] = await owner.outcomes(1)
        await owner.dispatch_raw(encode(event))
        [dead] = await owner.outcomes(1, Channels.DEAD_LETTERS)
    assert "a request was expected" in dead.data.reason


async def test_i2_a_duplicate_of_what_is_held_runs_once(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    async with running(worker(bus, store, gate.agent())):
        await owner.dispatch(task_request(), task_request())
        await until(lambda: bool(gate.entered))
        await owner.left_in(CODER, 1)
        gate.open.set()
        await owner.outcome()
        await owner.settled()
    assert gate.entered == ["d1"]


async def test_i2_a_duplicate_of_what_is_finished_repeats_its_outcome(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    gate.open.set()
    async with running(worker(bus, store, gate.agent(), resend_seconds=600)):
        await owner.dispatch(task_request())
        first = await owner.outcome()
        await owner.dispatch(task_request())
        assert await owner.outcome() == first
        await owner.settled()
    assert gate.entered == ["d1"]


async def test_an_outcome_is_sent_until_it_is_acknowledged(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    async with running(worker(bus, store, Quick)):
        await owner.dispatch(task_request(dispatch_id="d1"))
        found = await owner.outcomes(3)
        assert len({event.data.execution_id for event in found}) == 1
        await owner.say(acknowledged=[found[0].data.execution_id])
        await owner.dispatch(task_request(dispatch_id="d2"))
        await _heard_of(owner, "d2")
        assert {(await owner.outcome()).dispatch_id for _ in range(3)} == {"d2"}


async def _heard_of(owner: Owner, dispatch_id: str) -> None:
    async with asyncio.timeout(10):
        while (await owner.outcome()).dispatch_id != dispatch_id:
            pass


async def test_a_recalled_execution_ends_without_an_outcome(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    async with running(worker(bus, store, gate.agent(), slots=1)):
        await owner.dispatch(task_request(dispatch_id="d1"), task_request(dispatch_id="d2"))
        await until(lambda: gate.entered == ["d1"])
        await owner.say(recalled=["d1"])
        await until(lambda: gate.ended == ["d1"] and gate.entered == ["d1", "d2"])
        gate.open.set()
        assert (await owner.outcome()).dispatch_id == "d2"
        await owner.settled()


async def test_a_recalled_outcome_is_sent_no_more(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, broker: MemoryBroker
) -> None:
    made = worker(bus, store, Quick, resend_seconds=0.02)
    async with running(made):
        await owner.dispatch(task_request(dispatch_id="d1"))
        await owner.outcome()
        await owner.say(recalled=["d1"])
        await owner.dispatch(task_request(dispatch_id="d2"))
        await _heard_of(owner, "d2")
        assert {(await owner.outcome()).dispatch_id for _ in range(3)} == {"d2"}


async def test_i7_a_suspect_starts_when_all_else_has_ended_and_then_nothing_else_does(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    async with running(worker(bus, store, gate.agent(), slots=3, resend_seconds=600)):
        await owner.dispatch(task_request(dispatch_id="d0"))
        await until(lambda: gate.entered == ["d0"])
        suspects = [request_event(task_request(dispatch_id=name, task_id=name)) for name in ("s1", "s2")]
        await owner.dispatch_raw(*map(encode, suspects), stream=SUSPECTS)
        await until(lambda: {"d0": True, "s1": False} in owner.listed)
        await owner.dispatch(task_request(dispatch_id="d1", task_id="t1"))
        assert gate.entered == ["d0"]
        gate.open.set()
        await owner.outcomes(4)
    assert gate.entered == ["d0", "s1", "d1", "s2"], "one suspect, then other work again"
    assert {"s1": True} in owner.listed
    assert {"s2": True} in owner.listed


async def test_after_an_outage_it_pauses_and_then_tries_one_at_a_time(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    together: dict[str, int] = {}
    inside: list[str] = []

    @agent(role="coder")
    class Flaky:
        async def run(self, task: Task) -> AgentResult:
            name = task.request.dispatch_id
            inside.append(name)
            together[name] = len(inside)
            await asyncio.sleep(0)
            inside.remove(name)
            if name in {"d0", "d1", "d2"}:
                raise SandboxUnavailable("away")
            return AgentResult(files={}, summary="done")

    clock = asyncio.get_running_loop().time
    await owner.dispatch(*(task_request(dispatch_id=f"d{n}", task_id=f"t{n}") for n in range(6)))
    began = clock()
    async with running(worker(bus, store, Flaky, slots=2, resend_seconds=600)):
        outcomes = {event.data.dispatch_id: event.data for event in await owner.outcomes(6)}
    codes = [outcomes[f"d{n}"].error and outcomes[f"d{n}"].error.code for n in range(6)]
    assert codes == ["sandbox_unavailable"] * 3 + [None] * 3
    assert (together["d1"], together["d2"], together["d3"]) == (2, 1, 1)
    assert clock() - began >= 1.5, "0.5 s, and after the failed probe 1 s"


async def test_an_agent_that_cancels_its_own_task_has_failed(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    @agent(role="coder")
    class Cancelling:
        async def run(self, task: Task) -> AgentResult:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            await asyncio.sleep(0)
            raise AssertionError("it is cancelled")

    async with running(worker(bus, store, Cancelling)):
        await owner.dispatch(task_request(dispatch_id="d1"))
        outcome = await owner.outcome()
        await owner.settled()
    assert (outcome.dispatch_id, outcome.status) == ("d1", "failed")
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == ("agent_crashed", True)
    assert outcome.error.message == "the agent cancelled its own execution"
