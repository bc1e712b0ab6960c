"""Workspaces, in the sandbox that was chosen."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.base.errors import NotConfigured
from contracts.ports.bus import MessageBus
from contracts.ports.sandbox import Sandbox
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import (
    AS_IT_IS,
    NO_ENVIRONMENT,
    USUAL_LIMITS,
    Environment,
    Preparation,
    Workspace,
    WorkspaceLimits,
    Workspaces,
)
from multi_agent.bootstrap.sandboxes import HOST, make_own_sandbox, make_sandbox
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from sandbox_runner.choose import Backend, FirstUseSandbox

# What opens them is imported for the first one: many agents never need it.
# ruff: noqa: PLC0415

_FOLDER: Final = "checkouts"


class LocalWorkspaces:
    """Workspaces in a sandbox of this machine, which is chosen for the first one.

    owned: whether `close` closes the sandbox too.
    """

    def __init__(
        self, sandbox: FirstUseSandbox[Backend], store: GitArtifactStore, folder: Path, *, owned: bool
    ) -> None:
        self._sandbox, self._store, self._folder = sandbox, store, folder
        self._owned = owned
        self._made: Workspaces | None = None

    async def open(
        self,
        base: TreeBase,
        environment: Environment = NO_ENVIRONMENT,
        limits: WorkspaceLimits = USUAL_LIMITS,
        preparation: Preparation = AS_IT_IS,
    ) -> Workspace:
        """See Workspaces."""
        if self._made is None:
            self._made = _workspaces(await self._sandbox.chosen(), self._store, self._folder)
        return await self._made.open(base, environment, limits, preparation)

    async def close(self) -> None:
        """Release what was opened; the workspaces are closed already."""
        if self._owned:
            await self._sandbox.close()


def open_workspaces(settings: Settings, store: GitArtifactStore) -> LocalWorkspaces:
    """Workspaces of trees in the store, in a sandbox of their own. The caller closes them.

    Raises NotConfigured where the settings name sandbox hosts, which have none.
    """
    if settings.sandbox == HOST:
        raise NotConfigured("sandbox hosts have no workspaces; set MULTI_AGENT_SANDBOX to another one")
    return LocalWorkspaces(make_own_sandbox(settings), store, settings.data / _FOLDER, owned=True)


def make_worker_sandbox(
    settings: Settings, bus: MessageBus, store: GitArtifactStore, caller_id: str, at_once: int
) -> tuple[Sandbox, Workspaces | None]:
    """The sandbox of a worker, as make_sandbox, and the workspaces in it; None at hosts, which have none."""
    if settings.sandbox == HOST:
        return make_sandbox(settings, bus, caller_id, at_once), None
    sandbox = make_own_sandbox(settings, at_once)
    return sandbox, LocalWorkspaces(sandbox, store, settings.data / _FOLDER, owned=False)


def workspace_limits(settings: Settings) -> WorkspaceLimits:
    """The limits of a task's workspace: there is room for the largest repository, and what is added to it."""
    usual = USUAL_LIMITS
    return replace(usual, file_count=settings.max_repository_files + usual.changed_files)


def _workspaces(backend: Backend, store: GitArtifactStore, folder: Path) -> Workspaces:
    from artifacts.trees.git_trees import GitTrees
    from sandbox_runner.engine.payload import UNPRIVILEGED
    from sandbox_runner.workspace.opening import SandboxWorkspaces

    owner = None if os.geteuid() else UNPRIVILEGED
    return SandboxWorkspaces(backend, GitTrees(store.repository, folder, owner=owner))
