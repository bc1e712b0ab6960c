"""The repository's own tests on the unchanged base: run once for a tree, an environment and a command."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agents.testing.baseline.commands import PACKAGE_FILE, test_command
from agents.testing.baseline.running import environment_hash, run_baseline
from contracts.base.errors import InvalidDocument
from contracts.base.strict_json import validate
from contracts.documents.baseline import Baseline
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import NO_ENVIRONMENT, USUAL_LIMITS, Environment, Workspaces
from multi_agent.application.bases import RepositoryBase

if TYPE_CHECKING:
    from artifacts import GitArtifactStore

_MOST_KEPT: Final = 200
_MAX_PACKAGE: Final = 1_000_000


class BaselineCache:
    """Baselines that ran to their end, in files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, tree: str, environment: str, command: Sequence[str]) -> Baseline | None:
        """The baseline of these; None where none is kept, or it cannot be read."""
        try:
            return validate(Baseline, self._path(tree, environment, command).read_bytes(), "baseline")
        except (OSError, InvalidDocument):
            return None

    def keep(self, baseline: Baseline, command: Sequence[str]) -> None:
        """Keep one whose repetition would show nothing new. A folder that cannot be written keeps none."""
        if baseline.state not in {"ran", "no_tests"}:
            return
        path = self._path(baseline.tree, baseline.environment, command)
        draft = path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(baseline.model_dump_json())
            draft.replace(path)
            kept = sorted(self._folder.glob("*.json"), key=lambda one: one.stat().st_mtime)
            for old in kept[:-_MOST_KEPT]:
                old.unlink(missing_ok=True)

    def _path(self, tree: str, environment: str, command: Sequence[str]) -> Path:
        name = hashlib.sha256("\0".join([tree, environment, *command]).encode()).hexdigest()
        return self._folder / f"{name}.json"


@dataclass(frozen=True, slots=True)
class BaselineMaker:
    """What a baseline is made with."""

    artifacts: GitArtifactStore
    workspaces: Workspaces
    cache: BaselineCache
    seconds: float
    """How long the tests may run."""
    file_count: int
    """Files that a tree may have."""

    async def make(self, base: RepositoryBase, environment: Environment = NO_ENVIRONMENT) -> Baseline:
        """Run the tests of a base, or find what they once said.

        Raises InvalidInput, ArtifactError, StoreUnavailable, SandboxUnavailable.
        """
        assert base.commit is not None
        tree = await self.artifacts.tree_of(base.commit)
        name = environment_hash(environment)
        command = await command_for_all_tests(self.artifacts, base)
        if not command:
            return Baseline(tree=tree, environment=name, state="no_tests")
        if (known := self.cache.find(tree, name, command)) is not None:
            return known
        limits = replace(USUAL_LIMITS, file_count=self.file_count + USUAL_LIMITS.changed_files)
        workspace = await self.workspaces.open(TreeBase(base.commit), environment, limits, brief=True)
        try:
            made = await run_baseline(workspace, tree, name, command, self.seconds)
        finally:
            await workspace.close()
        self.cache.keep(made, command)
        return made


async def command_for_all_tests(artifacts: GitArtifactStore, base: RepositoryBase) -> tuple[str, ...]:
    """What runs all tests of a base, () for nothing. Raises ArtifactError, StoreUnavailable."""
    if base.commit is None:
        return ()
    trees = artifacts.trees()
    files = {file.path: file for file in await trees.list_files(base.commit)}
    package = files.get(PACKAGE_FILE)
    small = package is not None and package.size <= _MAX_PACKAGE
    [content] = await trees.read_files([package.oid]) if package and small else [None]
    return test_command(files, base.settings.test if base.settings else None, content)
