"""A fix by one agent with the tools of ours in one loop, and nothing else: no plan, no check, no retry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from agents.loop.loop import Assignment, Loop
from agents.roles.permissions import PERMISSIONS
from agents.tools.asking import ASK
from agents.tools.bench import Bench
from benchmarks.counted import Counted
from benchmarks.fixes.judging import Place, git
from contracts.base.printing import print_line
from contracts.documents.todo_list import Role
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import NO_ENVIRONMENT, Workspace
from multi_agent.application.bases import find_base
from multi_agent.bootstrap import make_artifacts, make_environments, make_model, open_workspaces
from multi_agent.settings import Settings

_SYSTEM: Final = (
    "You are a programmer. Do what is asked in the repository, with the tools. Paths are relative to it."
)
_REF: Final = "refs/heads/loop"


async def fix_in_a_loop(case: Path, place: Place, model: Settings) -> dict[str, Any]:
    """Let it work until it says that it is done.

    place: whose environments it uses. model: settings that name the model. What is returned has the keys of
    a summary that a verdict needs. Raises MultiAgentError.
    """
    settings = place.settings
    tree = case / "repository"
    artifacts = make_artifacts(settings)
    workspaces = open_workspaces(settings, artifacts)
    try:
        await find_base(settings, tree, lambda _: None)
        base = await artifacts.import_base(tree)
        async with make_environments(settings, artifacts, workspaces).prepare(base, print_line) as prepared:
            environment = prepared.environment if prepared else NO_ENVIRONMENT
            workspace = await workspaces.open(TreeBase(base), environment)
            try:
                log = await _work(workspace, (case / "request.md").read_text("utf-8"), model)
                changed = await workspace.snapshot()
            finally:
                await workspace.close()
    finally:
        await workspaces.close()
        await artifacts.close()
    store = str(settings.artifacts)
    commit = git("-C", store, "commit-tree", "-p", base, "-m", "What the loop left", changed)
    git("-C", store, "update-ref", _REF, commit)
    spent = log.usage.model_dump(include={"model_calls", "input_tokens", "output_tokens"})
    return {"status": "ended", "commit": commit, "store": store, **spent}


async def _work(workspace: Workspace, request: str, settings: Settings) -> Counted:
    model = make_model(settings)
    bench, log = Bench(workspace, lambda path: None), Counted(model)

    async def opened(tree: str) -> Bench:
        return bench

    try:
        tools = PERMISSIONS[Role.CODER].allowed
        await Loop(log, tools, opened, unoffered={ASK.name}).run(Assignment("loop", _SYSTEM, request))
    finally:
        await model.close()
    return log
