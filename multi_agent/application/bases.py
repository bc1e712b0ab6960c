"""Starting from a repository that a user has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.base.errors import InvalidInput

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from artifacts.store.survey import TreeSurvey
    from multi_agent.settings import Settings

_NAMED: Final = 5
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BaseLimits:
    """How large a repository may be: each task reads all of it, and each test copies it into a sandbox."""

    files: int
    megabytes: int

    @classmethod
    def of(cls, settings: Settings) -> BaseLimits:
        """Those that the settings name."""
        return cls(settings.max_repository_files, settings.max_repository_mb)


async def take_base(
    artifacts: GitArtifactStore, repository: Path, limits: BaseLimits, say: Callable[[str], None]
) -> str:
    """Copy the repository's HEAD into the store and return its commit; say what agents will not see of it.

    Raises InvalidInput for one above the limits, and as GitArtifactStore.import_base.
    """
    base = await artifacts.import_base(repository)
    found = await artifacts.survey(base)
    _check(repository, found, limits)
    if left_out := list(_left_out(found)):
        say(f"agents neither see nor change: {'; '.join(left_out)}")
    return base


def _check(repository: Path, found: TreeSurvey, limits: BaseLimits) -> None:
    size = -(-found.bytes // _MB)
    for what, has, most, setting in (
        ("files", found.files, limits.files, "MULTI_AGENT_MAX_REPOSITORY_FILES"),
        ("MB", size, limits.megabytes, "MULTI_AGENT_MAX_REPOSITORY_MB"),
    ):
        if has > most:
            raise InvalidInput(
                f"repository {str(repository)!r}: has {has:,} {what}, the limit is {most:,}; "
                f"set {setting}={has} to allow it, or start from a smaller repository"
            )


def _left_out(found: TreeSurvey) -> Iterator[str]:
    names = [name for name in found.names if name != ".gitmodules" or not found.submodules]
    yield from _listed(found.submodules, "the files of {} submodule", "")
    yield from _listed(found.pointers, "the data of {} file", " in Git LFS")
    yield from _listed(names, "{} file", " whose name they cannot be given")


def _listed(paths: Sequence[str], what: str, more: str) -> Iterator[str]:
    """Yield one phrase that names some of the paths; nothing without any."""
    if paths:
        shown = ", ".join(map(repr, paths[:_NAMED])) + (", ..." if len(paths) > _NAMED else "")
        yield f"{what.format(len(paths))}{'s' if len(paths) > 1 else ''}{more} ({shown})"
