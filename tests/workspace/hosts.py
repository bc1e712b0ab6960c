"""A sandbox host in this process, and the port of workspaces there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from contracts.ports.bus import MessageBus
from contracts.ports.environments import Environments, PreparedEnvironment
from contracts.ports.trees import TreeBase, TreeStore
from contracts.ports.workspace import Environment, NamedEnvironment, Workspaces
from sandbox_runner.service.admission import MOST
from sandbox_runner.service.call_policy import CallTimeouts
from sandbox_runner.service.host import Host
from sandbox_runner.service.settings import HostSettings
from sandbox_runner.service.workspaces.link import HostLink
from sandbox_runner.service.workspaces.remote import RemoteWorkspaces
from sandbox_runner.service.workspaces.serving import Served
from sandbox_runner.workspace.opening import WorkspaceBackend

LEASE = 1.5


class NoPrograms:
    """The sandbox of a host that is asked for workspaces alone."""

    def __init__(self, sandbox: WorkspaceBackend) -> None:
        self.backend, self.isolation = sandbox.backend, sandbox.isolation

    async def run(self, request: object) -> Any:
        raise AssertionError(f"nobody sends programs: {request}")

    async def close(self) -> None: ...


class GivenEnvironments:
    """The port: for each commit the environment that a test gave.

    kind: those of two kinds differ.
    """

    def __init__(self, kind: str = "0") -> None:
        self.given: dict[str, Environment] = {}
        self.held, self._kind = 0, kind

    def give(self, commit: str, environment: Environment) -> Environment:
        """What a workspace at the host is opened with, for this to be there."""
        self.given[commit] = environment
        return Environment(at_host=NamedEnvironment(commit, self._hash(commit)))

    def _hash(self, commit: str) -> str:
        return (commit + self._kind * 64)[:64]

    @asynccontextmanager
    async def prepare(
        self, commit: str, say: Callable[[str], None]
    ) -> AsyncIterator[PreparedEnvironment | None]:
        found = self.given.get(commit)
        say(f"looking for what {commit[:12]} needs")
        self.held += 1
        try:
            yield (
                PreparedEnvironment(found, f"what {commit[:12]} needs", self._hash(commit)) if found else None
            )
        finally:
            self.held -= 1


async def _at_hand(base: TreeBase) -> str:
    return base.tree or base.commit


@asynccontextmanager
async def workspace_host(
    bus: MessageBus,
    workspaces: Workspaces | None,
    sandbox: WorkspaceBackend,
    environments: Environments | None = None,
    tree_of: Callable[[TreeBase], Awaitable[str]] | None = None,
    **settings: Any,
) -> AsyncIterator[Host]:
    """A host that opens workspaces in a sandbox; None opens none.

    tree_of: None has every tree.
    """
    quick = {"lease_seconds": LEASE, "heartbeat_seconds": 0.1, "block_ms": 50}
    wanted = {"host_id": "host-1", **quick, **settings}
    served = None
    if workspaces is not None:
        most = replace(MOST, wall_seconds=60)
        served = Served(workspaces, environments or GivenEnvironments(), most, tree_of or _at_hand)
    host = Host(bus, NoPrograms(sandbox), HostSettings(machine="here", **wanted), served)
    running = asyncio.create_task(host.run())
    try:
        yield host
    finally:
        host.stop()
        await running


@asynccontextmanager
async def remote_workspaces(
    bus: MessageBus, trees: TreeStore, **patience: float
) -> AsyncIterator[RemoteWorkspaces]:
    """Workspaces at the hosts on a bus."""
    timeouts = CallTimeouts(**{"lease": LEASE, "answer": 5.0, **patience})
    found = RemoteWorkspaces(HostLink(bus, f"caller-{uuid.uuid4().hex[:8]}", timeouts=timeouts), trees)
    try:
        yield found
    finally:
        await found.close()
