"""Workspaces, in the sandbox that was chosen or at sandbox hosts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.base.identifiers import new_id
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
from multi_agent.bootstrap.bus_and_stores import make_artifacts, make_bus
from multi_agent.bootstrap.environments import make_environments
from multi_agent.bootstrap.sandboxes import HOST, make_own_sandbox, make_sandbox, most_of_host
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from artifacts.trees.git_trees import GitTrees
    from sandbox_runner.choose import Backend, FirstUseSandbox
    from sandbox_runner.service.workspaces.remote import RemoteWorkspaces
    from sandbox_runner.service.workspaces.serving import Served

# What opens them is imported for the first one: many agents never need it.
# ruff: noqa: PLC0415

_FOLDER: Final = "checkouts"
_OUTPUT_BYTES: Final = 32_000_000
"""The most of a command at a sandbox host: its output travels in parts, other than that of a program."""


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

    async def offered(self) -> bool:
        """See Workspaces."""
        return True

    async def open(
        self,
        base: TreeBase,
        environment: Environment = NO_ENVIRONMENT,
        limits: WorkspaceLimits = USUAL_LIMITS,
        preparation: Preparation = AS_IT_IS,
        *,
        brief: bool = False,
    ) -> Workspace:
        """See Workspaces."""
        if self._made is None:
            self._made = _workspaces(await self._sandbox.chosen(), self._store, self._folder)
        return await self._made.open(base, environment, limits, preparation, brief=brief)

    async def close(self) -> None:
        """Release what was opened; the workspaces are closed already."""
        if self._owned:
            await self._sandbox.close()


def open_workspaces(settings: Settings, store: GitArtifactStore) -> LocalWorkspaces | RemoteWorkspaces:
    """Workspaces of trees in the store, in a sandbox of their own or at hosts. The caller closes them.

    Raises NotConfigured where the settings name hosts, and no Redis.
    """
    if settings.sandbox == HOST:
        return _at_hosts(settings, make_bus(settings), store, f"holder-{new_id()}", owned=True)
    return LocalWorkspaces(make_own_sandbox(settings), store, settings.data / _FOLDER, owned=True)


def make_worker_sandbox(
    settings: Settings, bus: MessageBus, store: GitArtifactStore, caller_id: str, at_once: int, *, early: bool
) -> tuple[Sandbox, LocalWorkspaces | RemoteWorkspaces]:
    """The sandbox of a worker, as make_sandbox, and the workspaces beside it, which are closed before it.

    early: whether one of this machine is chosen at once, beside what comes before the first program.
    """
    if settings.sandbox == HOST:
        # Beside those of programs, so that neither hears the other's answers.
        workspaces = _at_hosts(settings, bus, store, f"{caller_id}-workspaces", owned=False)
        return make_sandbox(settings, bus, caller_id, at_once), workspaces
    sandbox = make_own_sandbox(settings, at_once)
    if early and settings.sandbox_warm:
        sandbox.begin()
    return sandbox, LocalWorkspaces(sandbox, store, settings.data / _FOLDER, owned=False)


def make_served(settings: Settings, backend: Backend) -> tuple[Served, GitArtifactStore] | None:
    """What a sandbox host opens workspaces with, and the store they are of, which the caller closes.

    None where no artifact store is known.
    """
    if settings.artifact_store is None and not Path(settings.artifacts).exists():
        return None
    from sandbox_runner.service.workspaces.serving import Served

    store = make_artifacts(settings)
    workspaces = _workspaces(backend, store, settings.data / _FOLDER)
    files = workspace_limits(settings).file_count
    most = replace(most_of_host(settings), file_count=files, output_bytes=_OUTPUT_BYTES)
    environments = make_environments(settings, store, workspaces)
    return Served(workspaces, environments, most, _trees(store, settings.data / _FOLDER).tree_of), store


def workspace_limits(settings: Settings) -> WorkspaceLimits:
    """The limits of a task's workspace: there is room for the largest repository, and what is added to it."""
    usual = USUAL_LIMITS
    return replace(usual, file_count=settings.max_repository_files + usual.changed_files)


def _at_hosts(
    settings: Settings, bus: MessageBus, store: GitArtifactStore, caller_id: str, *, owned: bool
) -> RemoteWorkspaces:
    from sandbox_runner.service.call_policy import CallTimeouts
    from sandbox_runner.service.workspaces.link import HostLink
    from sandbox_runner.service.workspaces.remote import RemoteWorkspaces

    timeouts = CallTimeouts(lease=settings.lease_seconds)
    link = HostLink(bus, caller_id, timeouts=timeouts, owned=owned)
    return RemoteWorkspaces(link, _trees(store, settings.data / _FOLDER))


def _workspaces(backend: Backend, store: GitArtifactStore, folder: Path) -> Workspaces:
    from sandbox_runner.workspace.opening import SandboxWorkspaces

    return SandboxWorkspaces(backend, _trees(store, folder))


def _trees(store: GitArtifactStore, folder: Path) -> GitTrees:
    from artifacts.trees.git_trees import GitTrees
    from sandbox_runner.engine.payload import UNPRIVILEGED

    return GitTrees(store.repository, folder, owner=None if os.geteuid() else UNPRIVILEGED)
