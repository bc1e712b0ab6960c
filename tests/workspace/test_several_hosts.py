"""Sandbox hosts that differ, and the rooms of one: nobody waits for himself; who cannot is passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from contracts.base.errors import ArtifactError, SandboxUnavailable
from contracts.bus.memory_broker import MemoryBroker, MemorySubscription
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.ports.trees import TreeBase, TreeChanges
from contracts.ports.workspace import Environment
from sandbox_runner.workspace.opening import SandboxWorkspaces
from tests.workspace.conftest import AT_HOST, SMALL
from tests.workspace.hosts import GivenEnvironments, workspace_host
from tests.workspace.world import World

pytestmark = pytest.mark.parametrize("place", [AT_HOST[:2]], indirect=True, ids=["bubblewrap"])


class OtherTrees:
    """A store that holds nothing of the project."""

    asked = 0

    def checkout(self, base: TreeBase, *, most_files: int) -> Any:
        raise ArtifactError("a checkout cannot be copied: it is damaged")

    async def tree_of(self, base: TreeBase) -> str:
        self.asked += 1
        raise ArtifactError(f"commit {base.commit} is missing in the store")

    async def write_tree(self, tree: str, changes: TreeChanges) -> str:
        raise AssertionError("a host writes nothing")


class LateSubscription(MemorySubscription):
    """Listens a moment after that is asked."""

    async def ready(self) -> None:
        await asyncio.sleep(0.3)
        await super().ready()


class LateBus(MemoryBus):
    """Begins late to hear orders."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self._own = broker

    def subscribe(self, channels: Sequence[str]) -> MemorySubscription:
        if list(channels) == [Channels.sandbox_workspaces("host-1")]:
            return LateSubscription(self._own, channels, lambda _: None)
        return super().subscribe(channels)


async def test_a_host_that_does_not_listen_yet_is_waited_for(world: World) -> None:
    remote = await world.remote()
    offered = asyncio.create_task(remote.offered())
    host = workspace_host(LateBus(world.broker), world.opener.own, world.opener.backend)
    await world.stack.enter_async_context(host)
    assert await offered
    assert await (await world.open(remote)).read("a.txt") == b"one\ntwo\n"


async def test_tasks_that_wait_for_one_more_do_not_hold_all_rooms(world: World) -> None:
    await world.host(slots=1)
    remote = await world.remote()
    lasting = [await world.open(remote) for _ in range(2)]
    third = asyncio.create_task(world.open(remote))
    async with asyncio.timeout(20):
        brief = [await world.open(remote, brief=True) for _ in lasting]
    fifth = asyncio.create_task(world.open(remote, brief=True))
    await asyncio.sleep(0.3)
    assert [third.done(), fifth.done()] == [False, False]
    await brief[0].close()
    assert await (await fifth).read("a.txt") == b"one\ntwo\n"
    assert not third.done()
    await lasting[0].close()
    assert await (await third).read("a.txt") == b"one\ntwo\n"


async def test_a_host_that_has_not_the_tree_is_passed_over(world: World) -> None:
    trees = OtherTrees()
    strange = SandboxWorkspaces(world.opener.backend, trees)
    await world.host(strange, host_id="strange", slots=8, tree_of=trees.tree_of)
    remote = await world.remote()
    with pytest.raises(
        SandboxUnavailable, match=r"host strange cannot get .*MULTI_AGENT_ARTIFACT_STORE"
    ) as refused:
        await world.open(remote)
    assert "\n" not in str(refused.value)
    await world.host(host_id="right", slots=1)
    await asyncio.sleep(0.3)
    for _ in range(2):
        assert await (await world.open(remote)).read("a.txt") == b"one\ntwo\n"
    assert trees.asked == 1, "it is asked last from then on"
    other = await world.remote()
    assert await (await world.open(other, brief=True)).read("a.txt") == b"one\ntwo\n"
    assert trees.asked == 2


async def test_what_fails_with_the_tree_at_hand_is_no_outage(world: World) -> None:
    await world.host(SandboxWorkspaces(world.opener.backend, OtherTrees()))
    with pytest.raises(ArtifactError, match="it is damaged"):
        await world.open(await world.remote())


async def test_an_environment_that_no_host_has_any_more_is_an_outage(world: World) -> None:
    """Whoever tries again has it made anew."""
    base, broker = world.opener.project.base, world.broker
    first, other = GivenEnvironments(), GivenEnvironments("1")
    for one in (first, other):
        one.give(base.commit, Environment(variables={"MADE_AT": "first" if one is first else "other"}))
    remote, said = await world.remote(lease=0.5), list[str]()
    dying = workspace_host(MemoryBus(broker), world.opener.own, world.opener.backend, first, host_id="first")
    async with dying, remote.prepare(base.commit, said.append) as prepared:
        assert prepared is not None
        await world.host(None, other, host_id="other", slots=8)
        await asyncio.sleep(0.3)
        workspace = await remote.open(base, prepared.environment, SMALL)
        told = await workspace.exec(1, ("printenv", "MADE_AT"))
        await workspace.close()
    with pytest.raises(
        SandboxUnavailable, match=r"host other makes environment .* has it made anew"
    ) as refused:
        await remote.open(base, prepared.environment, SMALL)
    assert "\n" not in str(refused.value)
    async with remote.prepare(base.commit, said.append) as again:
        assert again is not None
        workspace = await remote.open(base, again.environment, SMALL)
        told_again = await workspace.exec(1, ("printenv", "MADE_AT"))
        await workspace.close()
    assert (told.stdout, told_again.stdout) == (b"first\n", b"other\n")
    with pytest.raises(ArtifactError):
        async with remote.prepare("0" * 40, said.append):
            raise AssertionError("there is no such commit")
