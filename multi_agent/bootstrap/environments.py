"""Environments of repositories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.base.processes.folder_cache import FolderCache
from contracts.ports.environments import Environments, PreparedEnvironment
from contracts.ports.workspace import Workspaces
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore

# See _WhenAsked.
# ruff: noqa: PLC0415

NO_ENVIRONMENT: Final = "none"
FOUND: Final = "auto"
_FOLDER: Final = "environments"
_COPIES: Final = "private"
_MB: Final = 1_000_000


class _Nothing:
    """The port, for a user who wants none."""

    @asynccontextmanager
    async def prepare(
        self, _commit: str, _say: Callable[[str], None]
    ) -> AsyncIterator[PreparedEnvironment | None]:
        """See Environments."""
        yield None


class _WhenAsked:
    """The port, for what is made for the first who asks: its parts take a tenth of a second to import."""

    def __init__(self, make: Callable[[], Environments]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Environments:
        return self._make()

    @asynccontextmanager
    async def prepare(
        self, commit: str, say: Callable[[str], None]
    ) -> AsyncIterator[PreparedEnvironment | None]:
        """See Environments."""
        async with self._made.prepare(commit, say) as prepared:
            yield prepared


def make_environments(settings: Settings, store: GitArtifactStore, workspaces: Workspaces) -> Environments:
    """What gives the environments that the settings name, for commits in the store; or what hosts give."""
    from sandbox_runner.service.workspaces.remote import RemoteWorkspaces

    if settings.environment == NO_ENVIRONMENT:
        return _Nothing()
    if isinstance(workspaces, RemoteWorkspaces):
        return workspaces
    return _WhenAsked(partial(_made_here, settings, store, workspaces))


def _made_here(settings: Settings, store: GitArtifactStore, workspaces: Workspaces) -> Environments:
    from artifacts.trees.untracked import untracked_files
    from sandbox_runner.environments.found import FoundEnvironments, MakingSettings
    from sandbox_runner.environments.making.installers import installer_environment
    from sandbox_runner.environments.services.serving import ServedEnvironments
    from sandbox_runner.environments.yours.included import IncludedEnvironments
    from sandbox_runner.environments.yours.user_folder import FolderEnvironments
    from sandbox_runner.environments.yours.work_trees import WorkTrees
    from sandbox_runner.local.toolbox import interpreter

    trees, cache = store.trees(), environment_cache(settings)
    if settings.environment == FOUND:
        how = MakingSettings(
            interpreter(), settings.search_path, installer_environment(), settings.environment_seconds
        )
        own: Environments = FoundEnvironments(trees, workspaces, cache, how)
    else:
        own = FolderEnvironments(Path(settings.environment), trees, cache)
    served = ServedEnvironments(
        own, trees, cache, search_path=settings.search_path, seconds=settings.environment_seconds
    )
    copies = FolderCache(settings.data / _COPIES, 0)
    return IncludedEnvironments(served, trees, WorkTrees(settings.data), untracked_files, copies)


def environment_cache(settings: Settings) -> FolderCache:
    """What keeps built environments."""
    return FolderCache(settings.data / _FOLDER, settings.environment_cache_mb * _MB)
