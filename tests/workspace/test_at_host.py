"""Workspaces at sandbox hosts: what is lost, doubled, forged or silent harms nobody."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput, NotPermitted, SandboxUnavailable
from contracts.bus.connect import open_message_bus
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from contracts.ports.bus import Outgoing
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import Environment, Workspace, WorkspaceLimits
from sandbox_runner.probes.host import new_marker, processes_with
from sandbox_runner.service.messages import Messages, read
from tests.sandbox.probing import until
from tests.support.redis_servers import PrivateRedis
from tests.workspace.conftest import AT_HOST, SMALL, Opener, shell
from tests.workspace.hosts import remote_workspaces, workspace_host
from tests.workspace.world import World

COUNT = ("sh", "-c", "echo x >> count; wc -l < count")
SAY = Messages("test", lambda: 0.0)
pytestmark = pytest.mark.parametrize("place", [AT_HOST[:2]], indirect=True, ids=["bubblewrap"])


class Lossy(MemoryBus):
    """A bus that loses every other broadcast, and says the others twice."""

    said = 0

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        self.said += 1
        if self.said % 2 == 0:
            await super().broadcast([*messages, *messages])


class Forbidden(MemoryBus):
    """A bus whose user may tell hosts nothing."""

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        raise NotPermitted("channel sandbox.workspaces: not allowed")


@pytest.fixture(scope="module")
def redis() -> Iterator[PrivateRedis]:
    server = PrivateRedis().start()
    yield server
    server.stop()


async def test_what_is_lost_or_doubled_is_done_once(world: World) -> None:
    await world.host()
    workspace = await world.open(await world.remote(Lossy(world.broker)))
    assert [(await workspace.exec(number, COUNT)).stdout for number in (1, 2, 1)] == [b"1\n", b"2\n", b"1\n"]


async def test_who_may_not_tell_a_host_anything_hears_it_at_once(world: World) -> None:
    await world.host()
    with pytest.raises(NotPermitted, match=r"sandbox\.workspaces.*: multi-agent redis-acl"):
        async with asyncio.timeout(20):
            await world.open(await world.remote(Forbidden(world.broker)))


async def test_large_contents_travel_in_parts_over_redis(opener: Opener, redis: PrivateRedis) -> None:
    content = os.urandom(3_500_000)
    theirs, ours = open_message_bus(redis.url), open_message_bus(redis.url)
    async with (
        workspace_host(theirs, opener.own, opener.backend),
        remote_workspaces(ours, opener.project.trees) as remote,
    ):
        workspace = await remote.open(opener.project.base, limits=SMALL)
        await workspace.write("deep/large", content)
        assert (await workspace.diff()).files["deep/large"].content == content
        snapshot = await workspace.snapshot()
        await workspace.close()
    assert opener.project.changed(snapshot) == {b"deep/large": content}
    for bus in (theirs, ours):
        await bus.close()


async def test_a_silent_holder_loses_it(world: World) -> None:
    await world.host(lease_seconds=0.4)
    marker, remote = new_marker(), await world.remote()
    workspace = await world.open(remote)
    asked = asyncio.create_task(workspace.exec(1, ("sleep", marker)))
    await until("it runs", lambda: processes_with(marker))
    asked.cancel()
    await remote.close()
    await until("it is ended", lambda: not processes_with(marker), seconds=12)


async def test_whoever_holds_it_keeps_it(world: World) -> None:
    await world.host(lease_seconds=0.3)
    workspace = await world.open(await world.remote(lease=0.3))
    await shell(workspace, 1, "echo 1 > /tmp/kept")
    await asyncio.sleep(1.5)
    assert (await shell(workspace, 2, "cat /tmp/kept")).stdout == b"1\n"


async def test_a_host_that_dies_is_replaced_from_the_last_snapshot(world: World) -> None:
    bus = MemoryBus(world.broker)
    opener = world.opener
    dying = workspace_host(bus, opener.own, opener.backend, host_id="dying")
    async with AsyncExitStack() as life:
        await life.enter_async_context(dying)
        remote = await world.remote(lease=0.5)
        workspace = await remote.open(opener.project.base, limits=SMALL)
        await shell(workspace, 1, "echo two > a.txt")
        tree = await workspace.snapshot()
        await bus.close()  # nothing of it is heard any more
        with pytest.raises(SandboxUnavailable, match="gone: sandbox host dying is silent"):
            await workspace.exec(2, ("true",))
        await workspace.close()
        await world.host(host_id="other")
        again = await remote.open(TreeBase(opener.project.commit, tree), limits=SMALL)
        assert await again.read("a.txt") == b"two\n"
        assert await again.diff() == await again.diff()
        await again.close()
        with suppress(Exception):
            await life.aclose()


async def test_a_host_that_stops_says_that_it_is_gone(world: World) -> None:
    opener = world.opener
    async with workspace_host(MemoryBus(world.broker), opener.own, opener.backend):
        workspace = await world.open(await world.remote(lease=60.0))
        asked = asyncio.create_task(workspace.exec(1, ("sleep", "60")))
        await asyncio.sleep(0.3)
    with pytest.raises(SandboxUnavailable, match=r"gone|closed"):
        await asyncio.wait_for(asked, 10)
    with pytest.raises(SandboxUnavailable, match="gone"):
        await workspace.read("a.txt")


async def overheard(world: World, bus: MemoryBus) -> tuple[Workspace, str, str, str]:
    """A workspace, its id, its key, and who holds it."""
    listening = bus.subscribe(["sandbox.workspaces.*"])
    await listening.ready()
    workspace = await world.open(await world.remote())
    _, raw = await anext(aiter(listening))
    true = re.search(rb'"workspace_id":"(\w+)","key":"(\w+)","caller_id":"([\w-]+)"', raw)
    assert true is not None
    name, key, caller = (word.decode() for word in true.groups())
    return workspace, name, key, caller


async def test_the_host_keeps_nothing_that_has_arrived_but_the_end(world: World) -> None:
    await world.host()
    bus = MemoryBus(world.broker)
    workspace, name, key, caller = await overheard(world, bus)
    await workspace.write("large", os.urandom(3_500_000))
    await workspace.diff()
    answers = bus.subscribe([f"sandbox.results.{caller}"])
    await answers.ready()
    for part in range(4):
        order = WorkspaceOrder(
            workspace_id=name, key=key, caller_id=caller, kind="answer", number=3, part=part
        )
        await bus.broadcast([SAY.workspace_order("host-1", order)])
    told = read((await anext(aiter(answers)))[1], WorkspaceAnswer)
    assert (told.number, told.part, told.parts) == (3, 3, 4)
    await bus.close()


async def test_only_who_has_the_key_is_answered(world: World) -> None:
    await world.host()
    bus = MemoryBus(world.broker)
    workspace, name, key, caller = await overheard(world, bus)
    answers = bus.subscribe([f"sandbox.results.{caller}", "sandbox.results.thief"])
    await answers.ready()
    for forged in (("0" * 64, caller), (key, "thief")):
        for kind in ("close", "answer", "request"):
            order = WorkspaceOrder(
                workspace_id=name,
                key=forged[0],
                caller_id=forged[1],
                kind=kind,
                number=2,
            )
            await bus.broadcast([SAY.workspace_order("host-1", order)])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(aiter(answers)), 0.5)
    assert (await workspace.exec(1, COUNT)).stdout == b"1\n"
    await bus.close()


async def test_its_environment_is_the_hosts(world: World, packages: Path) -> None:
    environments = await world.host()
    commit = world.opener.project.commit
    environments.give(commit, Environment({"/opt/p": str(packages)}, {"PYTHONPATH": "/opt/p"}))
    remote, said = await world.remote(), list[str]()
    async with remote.prepare(commit, said.append) as prepared:
        assert prepared is not None
        workspace = await remote.open(world.opener.project.base, prepared.environment, SMALL)
        told = await workspace.exec(1, ("python", "-c", "import package; print(package.value)"))
        assert (told.stdout, environments.held) == (b"7\n", 1)
        await workspace.close()
    assert environments.held == 0
    with pytest.raises(InvalidInput, match="no folder of this machine"):
        await remote.open(world.opener.project.base, environments.given[commit], SMALL)


async def test_a_host_without_a_store_opens_none(world: World) -> None:
    remote = await world.remote(answer=1.0)
    with pytest.raises(SandboxUnavailable, match="no sandbox host answers"):
        await remote.offered()
    host = workspace_host(MemoryBus(world.broker), None, world.opener.backend)
    await world.stack.enter_async_context(host)
    assert not await remote.offered()
    with pytest.raises(SandboxUnavailable, match="set MULTI_AGENT_ARTIFACT_STORE to its URL") as refused:
        await remote.open(world.opener.project.base)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            replace(SMALL, memory_mb=9_999),
            "limits.memory_mb: 9999 is more than this sandbox host allows, 4096",
        ),
        (replace(SMALL, changed_mb=100), "limits.changed_mb: 100 is more than a sandbox host sends, 64"),
    ],
)
async def test_limits_are_the_hosts(world: World, wrong: WorkspaceLimits, said: str) -> None:
    await world.host()
    with pytest.raises(InvalidInput, match=said):
        await world.open(await world.remote(), wrong)
