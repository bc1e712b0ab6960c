"""What the tests of a fix say of a tree, in the environment of its repository and a sandbox."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.testing.baseline.running import environment_hash, run_baseline
from benchmarks.fixes.choosing import Fix
from contracts.base.errors import MultiAgentError
from contracts.base.printing import print_line
from contracts.documents.baseline import Baseline
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import NO_ENVIRONMENT
from multi_agent.application.bases import find_base
from multi_agent.bootstrap import make_artifacts, make_environments, open_workspaces
from multi_agent.settings import Settings

_GIT: Final = (
    "git",
    "-c",
    "user.name=bench",
    "-c",
    "user.email=bench@localhost",
    "-c",
    "advice.detachedHead=false",
)
_PYTEST: Final = ("python", "-m", "pytest")


@dataclass(frozen=True, slots=True)
class Place:
    """Where trees are judged: environments are kept between them."""

    folder: Path
    build_seconds: int
    test_seconds: int

    @property
    def settings(self) -> Settings:
        """Those of the judge's own data folder."""
        return Settings(
            data_dir=self.folder / "data",
            environment_seconds=self.build_seconds,
            sandbox="bubblewrap",
            environment_cache_mb=20_000,
        )


def git(*words: str, at: Path | None = None) -> str:
    """Run git; what it prints. Raises CalledProcessError."""
    where = ("-C", str(at)) if at else ()
    return subprocess.run((*_GIT, *where, *words), check=True, capture_output=True, text=True).stdout.strip()


def lay(mirror: Path, commit: str, target: Path, *, tests_of: Fix | None = None) -> None:
    """Lay out a commit as a repository of its own, with the tests of a fix as one commit more."""
    shutil.rmtree(target, ignore_errors=True)
    git("clone", "-q", "--no-checkout", str(mirror), str(target))
    git("checkout", "-q", "-B", "main", commit, at=target)
    git("remote", "remove", "origin", at=target)
    if tests_of:
        git("checkout", "-q", tests_of.commit, "--", *tests_of.tests, at=target)
        git("commit", "-q", "--allow-empty", "-m", "The tests of the fix", at=target)


async def judged(tree: Path, place: Place, files: Sequence[str] = ()) -> Baseline:
    """Run tests of a repository's HEAD: of these files, or all. Raises MultiAgentError."""
    settings = place.settings
    artifacts = make_artifacts(settings)
    try:
        workspaces = open_workspaces(settings, artifacts)
        try:
            await find_base(settings, tree, lambda _: None)
            commit = await artifacts.import_base(tree)
            async with make_environments(settings, artifacts, workspaces).prepare(
                commit, print_line
            ) as prepared:
                environment = prepared.environment if prepared else NO_ENVIRONMENT
                workspace = await workspaces.open(TreeBase(commit), environment)
                try:
                    name = environment_hash(environment)
                    words = (*_PYTEST, *files)
                    return await run_baseline(
                        workspace, await artifacts.tree_of(commit), name, words, place.test_seconds
                    )
                finally:
                    await workspace.close()
        finally:
            await workspaces.close()
    finally:
        await artifacts.close()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the tests of a fix say without it, and with it."""

    before: Baseline
    after: Baseline

    @property
    def mended(self) -> frozenset[str]:
        """Failing without the fix (or their file cannot be loaded there), not with it."""
        return frozenset(one.test for one in (*self.before.failing, *self.before.broken)) - self.failing_after

    @property
    def failing_after(self) -> frozenset[str]:
        """Failing with the fix, too."""
        return frozenset(one.test for one in (*self.after.failing, *self.after.broken))

    @property
    def serves(self) -> bool:
        """Whether the fix can be told by its tests."""
        return self.before.counted and self.after.complete and self.after.passed > 0 and bool(self.mended)


async def evidence(fix: Fix, mirror: Path, place: Place) -> Evidence | str:
    """Run the tests of a fix without and with it; the reason where that cannot be done."""
    tree = place.folder / "tree"
    try:
        lay(mirror, fix.parent, tree, tests_of=fix)
        before = await judged(tree, place, fix.tests)
        if not before.counted or before.state != "ran" or not (before.failing or before.broken):
            return f"without the fix: {before.sentence}"
        lay(mirror, fix.commit, tree)
        return Evidence(before, await judged(tree, place, fix.tests))
    except MultiAgentError as error:
        return str(error)
