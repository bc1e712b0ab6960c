"""Starting from a repository that a user has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agents.sdk.skills import MAX_BYTES as SKILL_BYTES
from agents.sdk.skills import MOST as MOST_SKILLS
from agents.sdk.skills import Skills, find_skills, skill_paths
from contracts.base.errors import InvalidInput, LimitExceeded
from contracts.base.processes.bounded_call import bounded_call
from contracts.documents.repository_settings import (
    MAX_BYTES,
    SETTINGS_FILES,
    FoundSettings,
    RepositorySettings,
    read_settings,
)
from multi_agent.application.approvals.own_files import check_own_files
from planner_service.repository_summary import RepositorySummary
from sandbox_runner.environments.yours.work_trees import WorkTrees

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from artifacts.store.listing import ListedFile, Trees
    from artifacts.store.survey import TreeSurvey
    from contracts.ports.code_index import CodeIndex
    from multi_agent.settings import Settings

_NAMED: Final = 5
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BaseLimits:
    """How large a repository may be: workspaces keep a copy on disk."""

    files: int
    megabytes: int

    @classmethod
    def of(cls, settings: Settings) -> BaseLimits:
        """Those that the settings name."""
        return cls(settings.max_repository_files, settings.max_repository_mb)


@dataclass(frozen=True, slots=True)
class RepositoryBase:
    """What a workflow starts from; by default nothing."""

    commit: str | None = None
    settings: RepositorySettings | None = None
    """What the commit says about work in it; None for nothing."""

    @property
    def protected(self) -> tuple[str, ...]:
        """Patterns of paths that nobody may touch."""
        return self.settings.protected if self.settings else ()


async def find_base(settings: Settings, repository: Path, say: Callable[[str], None]) -> RepositoryBase:
    """Find the repository's HEAD and what it says about work in it, and say that too; nothing is copied.

    Raises InvalidInput as artifacts.find_base, for settings that cannot be used, and for a repository that
    brings along the user's own rules or data folder.
    """
    # Imported here, since most commands start from no repository.
    from artifacts.store.listing import open_trees  # noqa: PLC0415

    trees, commit = await asyncio.to_thread(open_trees, repository)
    try:
        files = await trees.list_files(commit)
        tracks = f"repository {str(repository)!r}: tracks"
        check_own_files(settings, repository, await trees.list_names(commit), tracks)
        found = await _settings(trees, files)
        skills = await _skills(trees, files)
    finally:
        await trees.close()
    if found is not None:
        say(f"settings of the repository: {'; '.join(found.settings.lines) or 'none'} ({found.file})")
        if found.note:
            say(found.note)
    if skills.offered:
        say(f"skills of the repository: {', '.join(skill.name for skill in skills.offered)}")
    for reason in skills.left_out:
        say(f"skill not offered: {reason}")
    return RepositoryBase(commit, found.settings if found else None)


async def _settings(trees: Trees, files: Sequence[ListedFile]) -> FoundSettings | None:
    chosen = [file for file in files if file.path in SETTINGS_FILES]
    for file in chosen:
        if file.size > MAX_BYTES:
            raise InvalidInput(f"{file.path}: has {file.size:,} bytes, the limit is {MAX_BYTES:,}")
    contents = await _contents(trees, chosen)
    try:
        return await bounded_call(sum(map(len, contents.values())), read_settings, contents)
    except LimitExceeded as error:
        raise InvalidInput(f"{' or '.join(contents)} {error}") from None


async def _skills(trees: Trees, files: Sequence[ListedFile]) -> Skills:
    paths = set(skill_paths(file.path for file in files))
    chosen = [file for file in files if file.path in paths and file.size <= SKILL_BYTES]
    contents = await _contents(trees, chosen[:MOST_SKILLS])
    return await bounded_call(sum(map(len, contents.values())), find_skills, contents)


async def _contents(trees: Trees, files: Sequence[ListedFile]) -> dict[str, bytes]:
    contents = await trees.read_files([file.oid for file in files])
    return dict(zip([file.path for file in files], contents, strict=True))


async def take_base(
    artifacts: GitArtifactStore,
    repository: Path,
    base: RepositoryBase,
    settings: Settings,
    say: Callable[[str], None],
) -> None:
    """Copy what `find_base` found in the repository into the store; say what agents will not see of it.

    Where it came from is remembered, for files that stay there.

    Raises InvalidInput for one above the limits, and as GitArtifactStore.import_base.
    """
    if base.commit is None:
        return
    await artifacts.import_base(repository, base.commit)
    found = await artifacts.survey(base.commit)
    _check(repository, found, BaseLimits.of(settings))
    WorkTrees(settings.data).remember(base.commit, repository)
    if left_out := list(_left_out(found)):
        say(f"agents neither see nor change: {'; '.join(left_out)}")


def with_model_of(settings: Settings, base: RepositoryBase) -> Settings:
    """The settings, with the model that the repository names where the user names none."""
    named = base.settings.model if base.settings else None
    return settings.model_copy(update={"model": named}) if named and settings.model is None else settings


async def look_at_base(
    artifacts: GitArtifactStore,
    index: CodeIndex,
    base: RepositoryBase,
    request: str,
    say: Callable[[str], None],
) -> RepositorySummary | None:
    """Summarise what a base holds for who plans a request, None for nothing; say what could not be read.

    Raises ArtifactError for a base that cannot be read, StoreUnavailable, Unavailable.
    """
    if base.commit is None:
        return None
    seen = await index.map(base.commit, request)
    if seen.note:
        say(seen.note)
    sizes = {file.path: file.size for file in await artifacts.trees().list_files(base.commit)}
    return RepositorySummary.of(await artifacts.open_tree(base.commit), seen, base.settings, sizes)


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
