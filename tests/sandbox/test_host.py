"""A sandbox host with a real backend on a real Redis: what is lost, doubled or wrong harms no caller."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from contracts.base.errors import InvalidInput, SandboxUnavailable
from contracts.bus.connect import open_message_bus
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import decode
from contracts.messages.payloads import DeadLetteredMessage
from contracts.messages.sandbox import SandboxControl, SandboxOrder
from contracts.ports.bus import MessageBus, Outgoing
from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest
from sandbox_runner import SandboxSettings, choose_sandbox
from sandbox_runner.service.host import Host
from sandbox_runner.service.messages import Messages, order_of, result_of
from sandbox_runner.service.metrics import HostMetrics
from sandbox_runner.service.settings import HostSettings
from tests.sandbox.hosting import Ear, HostProcess, answers, hosted, remote_sandbox
from tests.sandbox.probing import FAST, new_marker, processes_with, run, until
from tests.support.redis_servers import PrivateRedis

CALLER = "caller-1"
SAY = Messages("test", time.time)


@pytest.fixture(scope="module")
def running_redis() -> Iterator[PrivateRedis]:
    server = PrivateRedis().start()
    yield server
    server.stop()


@pytest.fixture
def redis(running_redis: PrivateRedis) -> PrivateRedis:
    running_redis.flush()
    return running_redis


@pytest.fixture
async def bus(redis: PrivateRedis) -> AsyncIterator[MessageBus]:
    made = open_message_bus(redis.url)
    yield made
    await made.close()


@pytest.fixture
async def local(toolbox: Path) -> Sandbox:
    return await choose_sandbox(SandboxSettings(backend="namespaces", toolbox=toolbox))


@pytest.fixture
async def ear(bus: MessageBus) -> AsyncIterator[Ear]:
    made = Ear(bus, CALLER)
    await made.ready()
    yield made
    await made.close()


def an_order(
    *argv: str, request_id: str = "r-1", seconds: float = 60.0, deadline: float | None = None, **more: Any
) -> SandboxOrder:
    return order_of(
        SandboxRequest(argv=argv, **{"limits": FAST, **more}),
        request_id=request_id,
        caller_id=CALLER,
        deadline=time.time() + seconds if deadline is None else deadline,
        remaining_seconds=seconds,
    )


async def say(bus: MessageBus, **control: Any) -> None:
    await bus.broadcast([SAY.control(SandboxControl(caller_id=CALLER, **control))])


async def dead_letters(bus: MessageBus) -> list[DeadLetteredMessage]:
    return [decode(each.payload).data for each in await bus.entries(Channels.DEAD_LETTERS)]


async def test_the_same_request_twice_runs_once_and_is_answered_twice(
    bus: MessageBus, local: Sandbox, ear: Ear
) -> None:
    registry = CollectorRegistry()
    order = an_order("python", "-c", "import os; print(os.urandom(8))")
    async with hosted(bus, local, metrics=HostMetrics(registry)):
        await bus.publish([SAY.order(order), SAY.order(order)])
        await until("a result", lambda: ear.outcomes)
        await bus.publish([SAY.order(order)])
        await until("the result again", lambda: len(ear.outcomes) > 1)
        assert len({result_of(outcome).stdout for outcome in ear.outcomes}) == 1
        await say(bus, received=("r-1",))
        await until("the host forgets it", lambda: not ear.hosts[-1].held)
        assert await bus.depth(Channels.SANDBOX_REQUESTS) == 0
    assert registry.get_sample_value("multi_agent_sandbox_executions_total", {"verdict": "ok"}) == 1


async def test_a_duplicate_is_not_even_unpacked(bus: MessageBus, local: Sandbox, ear: Ear) -> None:
    order = an_order("true", stdin=b"abc")
    async with hosted(bus, local):
        await bus.publish([SAY.order(order)])
        await until("a result", lambda: ear.outcomes)
        await bus.publish([SAY.order(order.model_copy(update={"stdin_size": 2}))])
        await until("the result again", lambda: len(ear.outcomes) > 1)
        await say(bus, received=("r-1",))
        await until("the host forgets it", lambda: not ear.hosts[-1].held)
    assert await dead_letters(bus) == []


class SlowBus(MemoryBus):
    """Broadcasts while the door is open. told: the channel of each message."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.door = asyncio.Event()
        self.told: list[str] = []

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        self.told += [message.stream for message in messages]
        await self.door.wait()
        await super().broadcast(messages)


def announcements() -> list[asyncio.Task[Any]]:
    """The announcements under way."""
    return [task for task in asyncio.all_tasks() if task.get_name() == "host-announcement"]


async def test_many_changes_are_announced_together(local: Sandbox) -> None:
    bus = SlowBus()
    host = Host(bus, local, HostSettings("host-1", "here"))
    for _ in range(50):
        host.changed()
        await asyncio.sleep(0)
    assert bus.told == [Channels.SANDBOX_HOSTS], "one is under way"
    bus.door.set()
    await until("the rest is told", lambda: len(bus.told) > 1)
    for _ in range(10):
        await asyncio.sleep(0)
    assert bus.told == [Channels.SANDBOX_HOSTS] * 2
    await bus.close()


async def test_a_host_that_leaves_announces_nothing_more(local: Sandbox) -> None:
    bus = SlowBus()
    host = Host(bus, local, HostSettings("host-1", "here"))
    host.changed()
    await asyncio.sleep(0)
    [announcing] = announcements()
    leaving = asyncio.create_task(host.leave(()))
    await until("it tells its end", lambda: len(bus.told) > 1)
    bus.door.set()
    await leaving
    assert announcing.cancelled()
    host.changed()
    assert announcements() == []
    await bus.close()


async def test_a_result_is_repeated_until_it_is_received(bus: MessageBus, local: Sandbox, ear: Ear) -> None:
    async with hosted(bus, local):
        await bus.publish([SAY.order(an_order("true"))])
        await until("the result three times", lambda: len(ear.outcomes) == 3)
        await say(bus, received=("r-1",))
        await until("the host forgets it", lambda: not ear.hosts[-1].held)


async def test_a_late_second_result_is_ignored(bus: MessageBus, redis: PrivateRedis, local: Sandbox) -> None:
    async with hosted(bus, local), hosted(bus, local, "host-2"), remote_sandbox(redis.url) as remote:
        first = await run(remote, "python", "-c", "print(1)")
        order = an_order("python", "-c", "print(2)", request_id="r-late").model_copy(
            update={"caller_id": remote._caller_id}
        )
        await bus.publish([SAY.order(order)])
        second = await run(remote, "python", "-c", "print(3)")
    assert (first.stdout, second.stdout) == (b"1\n", b"3\n")


@pytest.mark.parametrize("raw", [b"", b"\xff", b'{"type": "multiagent.command.added"}', b"[]" * 100])
async def test_what_nobody_can_read_is_a_dead_letter_and_stops_nothing(
    bus: MessageBus, redis: PrivateRedis, local: Sandbox, raw: bytes
) -> None:
    lie = an_order("true", stdin=b"abc").model_copy(update={"stdin_size": 2})
    async with hosted(bus, local), remote_sandbox(redis.url) as remote:
        await bus.publish([Outgoing(Channels.SANDBOX_REQUESTS, raw), SAY.order(lie)])
        assert (await run(remote, "true")).verdict == "ok"
        letters = await dead_letters(bus)
    assert [letter.stream for letter in letters] == [Channels.SANDBOX_REQUESTS] * 2
    assert await bus.entries(Channels.SANDBOX_REQUESTS) == []


async def test_a_request_that_is_too_large_is_refused_by_its_caller(redis: PrivateRedis) -> None:
    async with remote_sandbox(redis.url, answer=0.1) as remote:
        with pytest.raises(InvalidInput, match=r"8388608 \(MAX_SANDBOX_MESSAGE_BYTES\)"):
            await run(remote, "true", files={"noise": os.urandom(7_000_000)})


async def test_a_result_that_is_too_large_comes_without_its_files(
    bus: MessageBus, redis: PrivateRedis, local: Sandbox
) -> None:
    code = "import os; print('hello'); open('noise', 'wb').write(os.urandom(7_000_000))"
    async with hosted(bus, local), remote_sandbox(redis.url) as remote:
        result = await run(remote, "python", "-c", code, collect=("noise",))
    assert (result.verdict, result.stdout, result.files) == ("policy", b"hello\n", {})
    assert b"files refused" in result.stderr


async def test_nobody_gets_more_than_the_host_allows(
    bus: MessageBus, redis: PrivateRedis, local: Sandbox
) -> None:
    most = SandboxLimits(wall_seconds=30, memory_mb=300, cpus=2)
    async with hosted(bus, local, most=most), remote_sandbox(redis.url) as remote:
        assert (await run(remote, "true")).verdict == "ok"
        for limits, name in (
            (SandboxLimits(wall_seconds=31, memory_mb=256), "wall_seconds"),
            (SandboxLimits(wall_seconds=20, memory_mb=301), "memory_mb"),
            (SandboxLimits(wall_seconds=20, memory_mb=256, cpus=2.5), "cpus"),
        ):
            with pytest.raises(InvalidInput, match=f"limits.{name}"):
                await run(remote, "true", limits=limits)
        with pytest.raises(InvalidInput, match="belong to the host"):
            await run(remote, "true", labels={"multi-agent.owner": "me"})


async def test_the_host_checks_paths_itself(bus: MessageBus, local: Sandbox, ear: Ear) -> None:
    marker = new_marker()
    async with hosted(bus, local):
        await bus.publish([SAY.order(an_order("sleep", marker, files={"../x": b""}))])
        await until("an answer", lambda: ear.outcomes)
        assert ear.outcomes[0].verdict == "unsafe_path"
        assert processes_with(marker) == []
        await say(bus, received=("r-1",))


async def test_nothing_runs_after_its_deadline(bus: MessageBus, local: Sandbox, ear: Ear) -> None:
    marker = new_marker()
    async with hosted(bus, local):
        await bus.publish([SAY.order(an_order("sleep", marker, deadline=time.time() - 1))])
        await until("an answer", lambda: ear.outcomes or processes_with(marker))
        assert ear.outcomes[0].verdict == "infra"
        assert "deadline has passed" in ear.outcomes[0].reason
        await say(bus, received=("r-1",))


async def test_a_host_whose_clock_is_wrong_serves_who_waits(
    bus: MessageBus, local: Sandbox, ear: Ear
) -> None:
    async with hosted(bus, local):
        await say(bus, waiting=("r-1",))
        await bus.publish([SAY.order(an_order("true", deadline=time.time() - 3_600))])
        await until("an answer", lambda: ear.outcomes)
        assert ear.outcomes[0].verdict == "ok"
        await say(bus, received=("r-1",))


async def test_the_remaining_time_ends_a_program_whatever_the_clock_says(
    bus: MessageBus, local: Sandbox, ear: Ear
) -> None:
    marker = new_marker()
    async with hosted(bus, local):
        order = an_order("sleep", marker, seconds=0.5, deadline=time.time() + 3_600)
        await bus.publish([SAY.order(order)])
        await until("an answer", lambda: ear.outcomes)
        assert (ear.outcomes[0].verdict, processes_with(marker)) == ("infra", [])
        await say(bus, received=("r-1",))


async def test_a_cancelled_caller_ends_the_program(
    bus: MessageBus, redis: PrivateRedis, local: Sandbox
) -> None:
    marker = new_marker()
    async with hosted(bus, local), remote_sandbox(redis.url) as remote:
        task = asyncio.create_task(run(remote, "sleep", marker))
        await until("the program starts", lambda: processes_with(marker))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert processes_with(marker) == []


async def test_a_request_that_was_cancelled_in_the_queue_never_runs(
    bus: MessageBus, redis: PrivateRedis, local: Sandbox, ear: Ear
) -> None:
    busy, queued = new_marker(), new_marker()
    async with hosted(bus, local, slots=1):
        await bus.publish([SAY.order(an_order("sleep", busy, request_id="busy"))])
        await until("one runs", lambda: processes_with(busy))
        await bus.publish([SAY.order(an_order("sleep", queued, request_id="queued"))])
        # Back-pressure: a host without a free slot leaves requests to others.
        await asyncio.sleep(0.5)
        assert await bus.depth(Channels.SANDBOX_REQUESTS) == 1
        await say(bus, cancelled=("queued", "busy"))
        await until("the queue is empty", lambda: redis.command("XLEN", Channels.SANDBOX_REQUESTS) == 0)
        await until("the host is free", lambda: not ear.hosts[-1].held)
        assert processes_with(busy) == processes_with(queued) == []


async def test_without_a_host_the_caller_is_told_which_to_start(redis: PrivateRedis) -> None:
    async with remote_sandbox(redis.url, answer=0.3) as remote:
        with pytest.raises(SandboxUnavailable, match=r"start one: .*multi-agent worker --role sandbox"):
            await run(remote, "true")


async def test_a_bus_that_loses_everything_loses_no_request(
    bus: MessageBus, redis: PrivateRedis, local: Sandbox
) -> None:
    marker = new_marker()
    async with hosted(bus, local, slots=1), remote_sandbox(redis.url) as remote:
        busy = asyncio.create_task(run(remote, "sleep", "0.7", env={"MARK": marker}))
        waiting = asyncio.create_task(run(remote, "python", "-c", "print(1)"))
        await asyncio.sleep(0.4)
        redis.flush()
        assert (await busy).verdict == "ok"
        assert (await waiting).stdout == b"1\n"


async def test_a_sandbox_that_breaks_is_never_the_programs_fault(
    bus: MessageBus, redis: PrivateRedis, tmp_path: Path
) -> None:
    from sandbox_runner.local.bubblewrap import make  # noqa: PLC0415 - a backend that cannot start anything

    broken = make(SandboxSettings(toolbox=tmp_path / "toolbox"), "/no/such/bwrap")
    async with hosted(bus, broken), remote_sandbox(redis.url) as remote:
        with pytest.raises(SandboxUnavailable, match=r"sandbox host host-1: the sandbox did not start"):
            await run(remote, "true")


async def test_a_killed_host_is_replaced_by_another(
    bus: MessageBus, redis: PrivateRedis, toolbox: Path, tmp_path: Path
) -> None:
    marker = new_marker()
    hosts = [HostProcess(redis.url, tmp_path / name, toolbox) for name in ("one", "two")]
    try:
        await answers(bus, *(host.host_id for host in hosts))
        async with remote_sandbox(redis.url) as remote:
            code = f"import time, sys; time.sleep(2); print('done')  # {marker}"
            task = asyncio.create_task(run(remote, "python", "-c", code, marker))
            await until("the program starts", lambda: processes_with(marker))
            [call] = remote._calls.values()
            await until("its host is known", lambda: call.waiting.held)
            holder = next(host for host in hosts if _holds(host, marker))
            holder.kill()
            result = await task
            assert (result.verdict, result.stdout) == ("ok", b"done\n")
            await until("the program of the dead host is gone", lambda: not processes_with(marker))
            [survivor] = [host for host in hosts if host is not holder]
            await until("the dead host's name is removed", lambda: _consumers(redis) == [survivor.host_id])
            assert redis.command("XLEN", Channels.SANDBOX_REQUESTS) == 0
    finally:
        for host in hosts:
            host.kill()


async def test_a_host_that_is_stopped_gives_back_what_it_cannot_finish(
    bus: MessageBus, redis: PrivateRedis, toolbox: Path, tmp_path: Path
) -> None:
    short, long = new_marker(), new_marker()
    host = HostProcess(redis.url, tmp_path / "one", toolbox)
    successor: HostProcess | None = None
    try:
        await answers(bus, host.host_id)
        async with remote_sandbox(redis.url) as remote:
            tasks = [
                asyncio.create_task(
                    run(
                        remote,
                        "python",
                        "-c",
                        f"import time; time.sleep({each}); print({each})",
                        marker,
                    )
                )
                for each, marker in ((3, short), (11, long))
            ]
            await until("both run", lambda: processes_with(short) and processes_with(long))
            seconds = await asyncio.to_thread(host.terminate)
            assert seconds < 10
            assert processes_with(long) == []
            assert (await tasks[0]).stdout == b"3\n"
            successor = HostProcess(redis.url, tmp_path / "two", toolbox)
            await until("it runs again", lambda: processes_with(long))
            tasks[1].cancel()
            await asyncio.gather(tasks[1], return_exceptions=True)
            assert processes_with(long) == []
    finally:
        for each in filter(None, (host, successor)):
            each.kill()


def _holds(host: HostProcess, marker: str) -> bool:
    """Whether one of the host's descendants runs with the marker."""
    parents = {pid: _parent(pid) for pid in processes_with(marker)}
    for pid in list(parents):
        above: int | None = pid
        while above:
            if above == host.process.pid:
                return True
            above = _parent(above)
    return False


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _consumers(redis: PrivateRedis) -> list[str]:
    found = redis.command("XINFO", "CONSUMERS", Channels.SANDBOX_REQUESTS, Channels.SANDBOX_GROUP)
    return sorted(dict(zip(entry[::2], entry[1::2], strict=True))[b"name"].decode() for entry in found)
