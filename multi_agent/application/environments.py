"""The environments of repositories: what a user can do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.base.errors import Busy, InvalidInput
from contracts.base.processes.folder_cache import FolderCache
from contracts.ports.environments import Environments, PreparedEnvironment
from sandbox_runner.environments.built import BUILT, read_about
from sandbox_runner.environments.making.fetching import installed

if TYPE_CHECKING:
    from artifacts import GitArtifactStore

_SHORTEST: Final = 4


@dataclass(frozen=True, slots=True)
class BuiltEnvironment:
    """An environment that is kept."""

    id: str
    """The first 12 hex digits of its hash."""
    hash: str
    name: str
    bytes: int
    packages: int
    seconds: float
    """How long it took to make."""
    used_at: float
    """Seconds since 1970."""


async def prepare_repository(
    artifacts: GitArtifactStore, environments: Environments, repository: Path, say: Callable[[str], None]
) -> PreparedEnvironment | None:
    """Make the environment of a repository's last commit, or check the folder that was named for it.

    None where the repository says nothing of what it needs. Raises as Environments, and as
    GitArtifactStore.import_base.
    """
    commit = await artifacts.import_base(repository)
    async with environments.prepare(commit, say) as prepared:
        return prepared


def list_environments(cache: FolderCache) -> list[BuiltEnvironment]:
    """Those that are kept, the last used first."""
    found = []
    for entry in cache.entries():
        if entry.name.startswith(BUILT) and (about := read_about(entry.content)) is not None:
            found.append(
                BuiltEnvironment(
                    about.hash[:12],
                    about.hash,
                    about.name,
                    entry.size,
                    installed(about.packages),
                    about.seconds,
                    entry.used_at,
                )
            )
    return found


def remove_environment(cache: FolderCache, wanted: str) -> BuiltEnvironment:
    """Remove one, named by the beginning of its hash. Raises InvalidInput for none or several, Busy."""
    found = [one for one in list_environments(cache) if one.hash.startswith(wanted)]
    if len(wanted) < _SHORTEST or len(found) != 1:
        known = ", ".join(one.id for one in (found or list_environments(cache))) or "none is there"
        which = "names several" if len(found) > 1 else "is none"
        raise InvalidInput(f"environment {wanted!r}: {which}; name one of: {known}")
    if not cache.remove(f"{BUILT}{found[0].hash}"):
        raise Busy(f"environment {found[0].id} is in use; try again when the tasks in it have ended")
    return found[0]
