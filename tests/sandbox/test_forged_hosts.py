"""Results of a sandbox host that somebody else made up, on a real bus: none is believed but the true one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.base.errors import NotPermitted, SandboxUnavailable, UnsafePath
from contracts.bus.access import RULES, BusUser, Rule
from contracts.bus.connect import open_message_bus
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.bus.redis_bus import RedisBus
from contracts.messages.channels import Channels
from contracts.messages.sandbox import SandboxHost, SandboxOrder
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from contracts.ports.bus import MessageBus, Outgoing
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult, Verdict
from contracts.ports.trees import TreeBase, TreeChanges
from contracts.ports.workspace import USUAL_LIMITS, Placement
from sandbox_runner import SandboxSettings, choose_sandbox
from sandbox_runner.service.admission import MOST
from sandbox_runner.service.messages import Messages, outcome_of, read
from sandbox_runner.service.workspaces.bodies import fold
from sandbox_runner.service.workspaces.calls import ChangedEntry, ListedChanges, OpenedAnswer
from sandbox_runner.service.workspaces.lease import Lease
from sandbox_runner.service.workspaces.link import HostLink
from sandbox_runner.service.workspaces.remote import RemoteWorkspaces
from sandbox_runner.service.workspaces.serving import Served
from sandbox_runner.workspace.opening import SandboxWorkspaces
from tests.agents.owner import until
from tests.sandbox.hosting import hosted, remote_sandbox
from tests.support.bus_users import GuardedRedis, guarded_redis
from tests.workspace.hosts import GivenEnvironments, remote_workspaces

SAY = Messages("test", time.time)
GROUP = Channels.SANDBOX_GROUP


def result(order: SandboxOrder, host_id: str, text: bytes = b"forged", **changes: str) -> Outgoing:
    ended = SandboxResult(Verdict.OK, 0, text, b"", {}, 0.1, "docker", Isolation.CONTAINER)
    outcome = outcome_of(ended, request_id=order.request_id, host_id=host_id)
    return SAY.outcome(order.caller_id, outcome.model_copy(update=changes))


def spoiled(order: SandboxOrder, spoil: Callable[[bytes], bytes]) -> Outgoing:
    sent = result(order, "host-1")
    return Outgoing(sent.stream, spoil(sent.payload))


def sign_of_life(host_id: str, *held: str) -> Outgoing:
    host = SandboxHost(
        host_id=host_id, machine="m", backend="docker", isolation="container", slots=2, held=held
    )
    return SAY.host_heartbeat(host)


FORGED: dict[str, Callable[[SandboxOrder], Outgoing]] = {
    "of a host that nobody knows": lambda order: result(order, "stranger"),
    "of a host that is idle": lambda order: result(order, "host-2"),
    "in the caller's name": lambda order: result(order, order.caller_id),
    "of another request": lambda order: result(order, "host-1", request_id="f" * 32),
    "that is a sign of life": lambda order: spoiled(order, lambda _: sign_of_life("host-1").payload),
    "that is the request": lambda order: spoiled(order, lambda _: SAY.order(order).payload),
    "that ends early": lambda order: spoiled(order, lambda raw: raw[:-20]),
    "that is no text": lambda order: spoiled(order, lambda _: b"\xff\xfe"),
    "with another verdict": lambda order: spoiled(order, lambda raw: raw.replace(b'"ok"', b'"verified"')),
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedRedis]:
    with guarded_redis() as server:
        yield server


async def taken(bus: MessageBus) -> SandboxOrder:
    """The next request, as a host reads it; two hosts say that they live."""
    await bus.ensure_group(Channels.SANDBOX_REQUESTS, GROUP)
    while True:
        await bus.broadcast([sign_of_life("host-1"), sign_of_life("host-2")])
        if found := await bus.read([Channels.SANDBOX_REQUESTS], GROUP, "host-1", count=1, block_ms=100):
            await bus.ack(GROUP, found)
            return read(found[0].payload, SandboxOrder)


async def test_no_forged_result_is_believed(guarded: GuardedRedis) -> None:
    host = open_message_bus(guarded.url_of(BusUser.SANDBOX_HOST))
    async with remote_sandbox(guarded.url_of(BusUser.WORKER)) as remote:
        asked = asyncio.create_task(remote.run(SandboxRequest(argv=("true",))))
        order = await taken(host)
        await host.broadcast([sign_of_life("host-1", order.request_id), sign_of_life("host-2")])
        await asyncio.sleep(0.2)
        for forge in FORGED.values():
            await host.broadcast([forge(order)])
        await asyncio.sleep(0.5)
        assert not asked.done()
        await host.broadcast([result(order, "host-1", b"true")])
        assert (await asyncio.wait_for(asked, 10)).stdout == b"true"
    await host.close()


async def test_a_true_result_that_came_before_its_host_was_heard_is_believed_later(
    guarded: GuardedRedis,
) -> None:
    host = open_message_bus(guarded.url_of(BusUser.SANDBOX_HOST))
    async with remote_sandbox(guarded.url_of(BusUser.WORKER)) as remote:
        asked = asyncio.create_task(remote.run(SandboxRequest(argv=("true",))))
        order = await taken(host)
        await host.broadcast([result(order, "host-3", b"true")])
        await asyncio.sleep(0.3)
        assert not asked.done()
        # A host repeats both until it is told that the result has arrived.
        await host.broadcast([sign_of_life("host-3", order.request_id)])
        await host.broadcast([result(order, "host-3", b"true")])
        assert (await asyncio.wait_for(asked, 10)).stdout == b"true"
    await host.close()


def opened() -> OpenedAnswer:
    return OpenedAnswer(backend="docker", isolation=Isolation.CONTAINER, placement=Placement.COPY)


def changes(*paths: str, content: bytes = b"x") -> list[str]:
    files = tuple(ChangedEntry(path=path.encode(), size=len(content)) for path in paths)
    return fold(ListedChanges(files=files), content * len(paths))


class Impostor:
    """Answers a workspace's requests as a host, with forged answers before the true one."""

    def __init__(self, bus: MessageBus, *answers: list[str]) -> None:
        self._bus, self._answers = bus, answers

    async def serve(self) -> None:
        heard = self._bus.subscribe([Channels.sandbox_workspaces("host-1")])
        await heard.ready()
        host = SandboxHost(
            host_id="host-1", machine="m", backend="docker", isolation="container", slots=2, workspaces=1
        )
        while True:
            await self._bus.broadcast([SAY.host_heartbeat(host), sign_of_life("host-2")])
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await self._answer(read((await anext(aiter(heard)))[1], WorkspaceOrder))

    async def _answer(self, order: WorkspaceOrder) -> None:
        state = "gone" if order.kind == "close" else "answered"
        if order.kind == "alive":
            return
        body = self._answers[order.number - 1] if order.number else []
        true = WorkspaceAnswer(
            workspace_id=order.workspace_id,
            host_id="host-1",
            number=order.number,
            state=state,
            body_base64="".join(body),
        )
        forged = [
            true.model_copy(update={"host_id": "host-2", "state": "gone"}),
            true.model_copy(update={"workspace_id": "f" * 32, "state": "gone"}),
            true.model_copy(update={"number": order.number + 1, "body_base64": "forged"}),
        ]
        for answer in (*forged, true):
            await self._bus.broadcast([SAY.workspace_answer(order.caller_id, answer)])


FORGED_ANSWERS: dict[str, tuple[list[str], type[Exception], str]] = {
    "that leaves the tree": (changes("../x"), UnsafePath, r"\.\."),
    "that writes to Git's folder": (changes(".git/hooks/x"), UnsafePath, r"\.git"),
    "with one path twice": (changes("a", "a"), SandboxUnavailable, "cannot be used"),
    "above the limits": (changes("a", content=bytes(3_000_000)), SandboxUnavailable, "at most 1048576"),
    "that is no body": (["AAAA"], SandboxUnavailable, "cannot be unpacked"),
    "of another request": (fold(opened()), SandboxUnavailable, "cannot be used"),
}


@pytest.mark.parametrize("name", FORGED_ANSWERS)
async def test_no_forged_answer_of_a_workspace_is_believed(guarded: GuardedRedis, name: str) -> None:
    forged, error, said = FORGED_ANSWERS[name]
    host = open_message_bus(guarded.url_of(BusUser.SANDBOX_HOST))
    serving = asyncio.create_task(Impostor(host, fold(opened()), forged, changes("a")).serve())
    caller = open_message_bus(guarded.url_of(BusUser.WORKER))
    limits = replace(USUAL_LIMITS, changed_mb=1)
    async with remote_workspaces(caller, NamedTrees()) as remote:
        workspace = await remote.open(TreeBase("1" * 40), limits=limits)
        with pytest.raises(error, match=said):
            await workspace.snapshot()
        assert await workspace.snapshot() == "a"
        await workspace.close()
    serving.cancel()
    for bus in (host, caller):
        await bus.close()


class NamedTrees:
    """A store that shows what was to be written."""

    def checkout(self, base: TreeBase, *, most_files: int) -> Any:
        raise AssertionError("nothing is checked out where programs run at a host")

    async def tree_of(self, base: TreeBase) -> str:
        return base.commit

    async def write_tree(self, tree: str, changes: TreeChanges) -> str:
        return " ".join(changes.files)


@pytest.mark.parametrize("user", [BusUser.SANDBOX_HOST, BusUser.ORCHESTRATOR, BusUser.COMMAND_LINE])
async def test_only_workers_ask_for_workspaces(guarded: GuardedRedis, user: BusUser) -> None:
    bus = open_message_bus(guarded.url_of(user))
    with pytest.raises(NotPermitted):
        await bus.broadcast([Outgoing(Channels.sandbox_workspaces("host-1"), b"an order")])
    await bus.close()


@pytest.mark.parametrize("user", [user for user in BusUser if user is not BusUser.SANDBOX_HOST])
async def test_nobody_else_says_what_a_host_says(guarded: GuardedRedis, user: BusUser) -> None:
    bus = open_message_bus(guarded.url_of(user))
    try:
        for channel in (Channels.sandbox_results("w-1"), Channels.SANDBOX_HOSTS):
            with pytest.raises(NotPermitted):
                await bus.broadcast([Outgoing(channel, b"a result")])
    finally:
        await bus.close()


def _allow(server: GuardedRedis, rules: Iterable[Rule]) -> None:
    server.command("ACL", "SETUSER", BusUser.SANDBOX_HOST, "clearselectors", *map(str, rules))


def test_what_says_nothing_is_not_sent() -> None:
    """Those of an earlier release read no field that they do not know."""
    link, say = HostLink(MemoryBus(MemoryBroker()), "caller-1"), Messages("test", time.time)
    lasting, brief = (Lease(link, "host-1", brief=brief).order("alive") for brief in (False, True))
    assert b"brief" not in say.workspace_order("host-1", lasting).payload
    assert b'"brief":true' in say.workspace_order("host-1", brief).payload


async def _withdrawn(workspaces: RemoteWorkspaces) -> bool:
    return not await workspaces.offered()


async def test_rules_that_let_a_host_hear_no_workspace_leave_it_its_programs(toolbox: Path) -> None:
    """Those of an earlier release; one line says what to renew."""
    rules = RULES[BusUser.SANDBOX_HOST]
    heard = (Channels.SANDBOX_CONTROL, Channels.SANDBOX_HOSTS)
    before = [replace(rule, channels=heard) if rule.commands == "subscribe" else rule for rule in rules]
    sandbox = await choose_sandbox(SandboxSettings(backend="namespaces", toolbox=toolbox))
    trees = NamedTrees()
    served = Served(SandboxWorkspaces(sandbox, trees), GivenEnvironments(), MOST, trees.tree_of)
    with guarded_redis() as server, capture_logs() as logs:
        _allow(server, before)
        theirs = RedisBus(server.url_of(BusUser.SANDBOX_HOST), timeout=0.5)
        ours = open_message_bus(server.url_of(BusUser.WORKER))
        async with (
            hosted(theirs, sandbox, served=served),
            remote_sandbox(server.url_of(BusUser.WORKER)) as remote,
            remote_workspaces(ours, NamedTrees()) as workspaces,
        ):
            assert (await remote.run(SandboxRequest(argv=("echo", "ran")))).stdout == b"ran\n"
            await until(lambda: any(log["event"] == "channels_forbidden" for log in logs))
            await until(lambda: _withdrawn(workspaces))
            await asyncio.sleep(1.5)
            [told] = [log for log in logs if log["event"] == "channels_forbidden"]
            assert told["channels"] == [Channels.sandbox_workspaces("host-1")]
            assert told["reason"].endswith("renew them: multi-agent redis-acl")
            _allow(server, rules)
            await until(workspaces.offered)
        for bus in (theirs, ours):
            await bus.close()
    await sandbox.close()
