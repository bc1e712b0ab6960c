"""A bus, hosts on it, and holders of workspaces there."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.bus import MessageBus
from contracts.ports.workspace import Workspace, WorkspaceLimits, Workspaces
from sandbox_runner.service.workspaces.remote import RemoteWorkspaces
from tests.workspace.hosts import GivenEnvironments, remote_workspaces, workspace_host

if TYPE_CHECKING:
    from tests.workspace.conftest import Opener


@dataclass
class World:
    """Everything that is started ends with the test."""

    opener: Opener
    limits: WorkspaceLimits
    stack: AsyncExitStack
    broker: MemoryBroker = field(default_factory=MemoryBroker)

    async def host(
        self,
        workspaces: Workspaces | None = None,
        environments: GivenEnvironments | None = None,
        **settings: Any,
    ) -> GivenEnvironments:
        """Start a host."""
        environments = environments or GivenEnvironments()
        own, backend = workspaces or self.opener.own, self.opener.backend
        host = workspace_host(MemoryBus(self.broker), own, backend, environments, **settings)
        await self.stack.enter_async_context(host)
        return environments

    async def remote(self, bus: MessageBus | None = None, **patience: float) -> RemoteWorkspaces:
        """A holder's port."""
        bus = bus or MemoryBus(self.broker)
        remote = remote_workspaces(bus, self.opener.project.trees, **patience)
        return await self.stack.enter_async_context(remote)

    async def open(
        self, remote: RemoteWorkspaces, limits: WorkspaceLimits | None = None, *, brief: bool = False
    ) -> Workspace:
        """A workspace of the project."""
        opened = await remote.open(self.opener.project.base, limits=limits or self.limits, brief=brief)
        self.stack.push_async_callback(opened.close)
        return opened
