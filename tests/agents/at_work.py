"""Workers over a project's store, whose tasks have workspaces of its trees in a real sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from artifacts.store.git_store import GitArtifactStore
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import encode
from contracts.messages.payloads import TaskOutcome, TaskRequest
from contracts.ports.workspace import Workspaces
from tests.agents.owner import Owner, running, worker
from tests.agents.support import request_event, task_request
from tests.workspace.repositories import Project


@dataclass(frozen=True)
class AtWork:
    """One worker at a time, and what it works on."""

    bus: MemoryBus
    owner: Owner
    store: GitArtifactStore
    project: Project
    workspaces: Workspaces

    def request(self, **fields: Any) -> TaskRequest:
        """A task of a run from the project."""
        commit = self.project.commit
        return task_request(parents=[commit], **fields).model_copy(update={"base_commit": commit})

    @asynccontextmanager
    async def sent(self, request: TaskRequest, agent: type, **more: Any) -> AsyncIterator[None]:
        """A worker with this agent and what `worker` takes, to which the request was sent."""
        stream = Channels.requests(request.item.agent_role)
        await self.owner.serve(stream)
        async with running(worker(self.bus, self.store, agent, workspaces=self.workspaces, **more)):
            await self.owner.dispatch_raw(encode(request_event(request)), stream=stream)
            yield

    async def outcome(self, request: TaskRequest, agent: type, **more: Any) -> TaskOutcome:
        """How the request ends."""
        async with self.sent(request, agent, **more):
            return await self.owner.outcome(60)
