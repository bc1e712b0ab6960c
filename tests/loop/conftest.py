"""A workspace over a small project, in the quickest sandbox of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from agents.loop.loop import Loop, LoopLimits
from agents.sdk.exchange_log import ExchangeLog, ExchangeScope
from agents.tools.bench import Bench
from agents.tools.editing import EDITING
from agents.tools.patching import PATCHING
from agents.tools.planning import PLANNING
from agents.tools.reading import READING
from agents.tools.running import RUNNING
from agents.tools.tool import Tool, ToolRefused
from contracts.base.errors import InvalidInput
from contracts.messages.steps import StepTaken
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import NO_ENVIRONMENT, Workspace, WorkspaceLimits
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.workspace.opening import SandboxWorkspaces
from tests.agents.support import ExchangesInMemory, ScriptedModel
from tests.support import of_this_run
from tests.workspace.repositories import Project

OpenAt: TypeAlias = Callable[[str], Awaitable[Workspace]]
"""Opens a workspace at a tree of the project, "" for the commit's own."""

TOOLS = (*READING, *EDITING, *PATCHING, *RUNNING, *PLANNING)
LIMITS = WorkspaceLimits(command_seconds=20, memory_mb=256, disk_mb=64, output_bytes=200_000)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("project"))
    yield made
    made.store.close()


@pytest.fixture
async def open_at(project: Project, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenAt]:
    """Opens workspaces of the project at a tree; they are closed at the end."""
    settings = SandboxSettings(toolbox=of_this_run(tmp_path_factory) / "workspace-toolbox")
    opened = await open_untested("bubblewrap", settings)
    made: list[Workspace] = []

    async def open_one(tree: str) -> Workspace:
        base = TreeBase(project.base.commit, tree)
        made.append(await SandboxWorkspaces(opened.sandbox, project.trees).open(base, NO_ENVIRONMENT, LIMITS))
        return made[-1]

    yield open_one
    for workspace in made:
        await workspace.close()
    await opened.sandbox.close()


@pytest.fixture
async def bench(open_at: OpenAt) -> Bench:
    return Bench(await open_at(""), refusal)


def refusal(path: str) -> str | None:
    return "the repository's own files stay" if path.startswith("deep/") else None


@dataclass
class Place:
    """A loop's surroundings, which a kill takes away and a successor builds anew over the same store."""

    open_at: OpenAt
    model: ScriptedModel
    store: Any = field(default_factory=ExchangesInMemory)
    opened: list[str] = field(default_factory=list)

    def loop(
        self,
        limits: LoopLimits = LoopLimits(),  # noqa: B008 - frozen
        on_step: Callable[[StepTaken], Awaitable[None]] | None = None,
    ) -> tuple[Loop, ExchangeLog]:
        async def open_bench(tree: str) -> Bench:
            self.opened.append(tree)
            return Bench(await self.open_at(tree), refusal)

        log = ExchangeLog(ExchangeScope("w", "t", 1), self.model, self.store)
        return Loop(log, TOOLS, open_bench, limits, on_step=on_step), log


Surround = Callable[..., Place]


@pytest.fixture
def around(open_at: OpenAt) -> Surround:
    return lambda *answers, **more: Place(open_at, ScriptedModel(*answers), **more)


async def use(tool: Tool[Any], bench: Bench, **arguments: object) -> str:
    """What a tool shows, or why it refuses."""
    try:
        return await tool.call(bench, arguments)
    except (ToolRefused, InvalidInput) as error:
        return f"refused: {error}"
