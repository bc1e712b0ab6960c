"""Measures one repository: its environment cold and warm, and its own tests outside and in a sandbox."""

from __future__ import annotations

import shlex
import subprocess
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from agents.testing.baseline.running import environment_hash, run_baseline
from benchmarks.environments.counting import counts_of
from benchmarks.environments.outside import outside
from contracts.base.errors import MultiAgentError
from contracts.base.printing import print_line
from contracts.documents.baseline import Baseline
from contracts.ports.environments import Environments
from contracts.ports.workspace import NO_ENVIRONMENT, Environment, Workspace
from multi_agent.application.baselines import BaselineCache, BaselineMaker
from multi_agent.application.bases import RepositoryBase, find_base
from multi_agent.bootstrap import environment_cache, make_artifacts, make_environments, open_workspaces
from multi_agent.settings import Settings
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.environments.built import BUILT, MODULES_KEPT
from sandbox_runner.local.toolbox import ensure_toolbox

LIST = Path(__file__).with_name("repositories.toml")
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost")


@dataclass(frozen=True, slots=True)
class Listed:
    """A repository of the list."""

    name: str
    kind: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """A name for a folder."""
        return self.name.replace("/", "+")


def read_list() -> list[Listed]:
    """The repositories, in the order of the list."""
    return [Listed(**one) for one in tomllib.loads(LIST.read_text("utf-8"))["repository"]]


@dataclass(slots=True)
class Measured:
    """What was measured of a repository."""

    name: str
    kind: str
    file_count: int = 0
    environment: str = ""
    """What was built; "" where the reason is an obstacle."""
    obstacle: str = ""
    cold_seconds: float = 0.0
    warm_seconds: float = 0.0
    megabytes: float = 0.0
    outside: dict[str, Any] = field(default_factory=dict)
    inside: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By sandbox."""


def clone(one: Listed, mirrors: Path, folder: Path) -> Path:
    """Clone a mirror, with what the list adds as a commit."""
    tree = folder / "repository"
    mirror = mirrors / one.folder / "repo"
    subprocess.run((*_GIT, "clone", "-q", str(mirror), str(tree)), check=True)
    for path, text in one.files.items():
        (tree / path).write_text(text, "utf-8")
    if one.files:
        subprocess.run((*_GIT, "-C", str(tree), "add", "--force", *one.files), check=True)
        subprocess.run((*_GIT, "-C", str(tree), "commit", "-qm", "What the list adds"), check=True)
    return tree


async def measure(
    one: Listed, mirrors: Path, folder: Path, seconds: int, tests: int, sandboxes: Sequence[str]
) -> Measured:
    """Measure one in an empty folder; a step of the build, and a run of tests, may take so long.

    The environment is built in the first of the sandboxes, and is that of all of them.
    """
    found = Measured(one.name, one.kind)
    tree = clone(one, mirrors, folder)
    settings = Settings(
        data_dir=folder / "data",
        environment_seconds=seconds,
        baseline_seconds=tests,
        sandbox=sandboxes[0],
        environment_cache_mb=20_000,
    )
    artifacts = make_artifacts(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(artifacts.close)
        workspaces = open_workspaces(settings, artifacts)
        stack.push_async_callback(workspaces.close)
        try:
            said = (await find_base(tree, print_line)).settings
            commit = await artifacts.import_base(tree)
            base = RepositoryBase(commit, said)
            found.file_count = len(await artifacts.trees().list_files(commit))
            environment = await _environment(found, base, make_environments(settings, artifacts, workspaces))
            found.megabytes = round(_bytes_kept(settings) / 1e6, 1)
            runs = [await _inside(found, sandbox, settings, base, environment) for sandbox in sandboxes]
            inside = next(run for run in runs if run is not None)
            toolbox = ensure_toolbox(SandboxSettings().toolbox)
            async with outside(tree, environment, toolbox, folder) as place:
                argv = shlex.split(inside.command)
                name = environment_hash(environment)
                found.outside = _outcome(
                    await run_baseline(cast(Workspace, place), inside.tree, name, argv, tests)
                )
        except MultiAgentError as error:
            found.obstacle = str(error)
    return found


async def _inside(
    found: Measured, sandbox: str, settings: Settings, base: RepositoryBase, environment: Environment
) -> Baseline | None:
    """Run the tests in a sandbox; None where that cannot be, and why is noted."""
    artifacts = make_artifacts(settings)
    workspaces = open_workspaces(settings.model_copy(update={"sandbox": sandbox}), artifacts)
    try:
        cache, seconds = BaselineCache(settings.data / sandbox), settings.baseline_seconds
        run = await BaselineMaker(artifacts, workspaces, cache, seconds, 100_000).make(base, environment)
        found.inside[sandbox] = _outcome(run)
    except MultiAgentError as error:
        found.inside[sandbox] = {"state": str(error)}
        return None
    finally:
        await workspaces.close()
        await artifacts.close()
    return run


async def _environment(found: Measured, base: RepositoryBase, environments: Environments) -> Environment:
    """Make it, and find it again; it stays, as nothing else is in the cache."""
    assert base.commit is not None
    began = time.monotonic()
    async with environments.prepare(base.commit, print_line):
        found.cold_seconds = round(time.monotonic() - began, 1)
    began = time.monotonic()
    async with environments.prepare(base.commit, lambda _: None) as prepared:
        found.warm_seconds = round(time.monotonic() - began, 2)
    found.environment = prepared.name if prepared else "nothing needed"
    return prepared.environment if prepared else NO_ENVIRONMENT


def _bytes_kept(settings: Settings) -> int:
    """What a task uses of the cache: what was built, and modules; not what was fetched to build it."""
    entries = environment_cache(settings).entries()
    return sum(entry.size for entry in entries if entry.name.startswith((BUILT, MODULES_KEPT)))


def _outcome(run: Baseline) -> dict[str, Any]:
    counts = counts_of(run)
    told = {"state": run.state, "seconds": run.seconds, "failing": [one.test for one in run.failing][:40]}
    if counts:
        return {"passed": counts.passed, "failed": counts.failed, "share": round(counts.share, 4), **told}
    return {**told, "exit_code": run.exit_code, "tail": run.tail[-600:]}
