"""What a model does with an exercise by itself: asked once, or in one loop with four tools."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from agents.loop.loop import Assignment, Loop
from agents.tools.bench import Bench
from agents.tools.editing import EDITING
from agents.tools.reading import READING, content_of
from agents.tools.running import RUNNING
from benchmarks.counted import Counted
from benchmarks.exercises.exercise import Exercise
from contracts.messages.payloads import Usage
from contracts.ports.model import ModelMessage, ModelRequest
from contracts.ports.trees import TreeBase
from multi_agent.bootstrap import make_artifacts, make_model, open_workspaces
from multi_agent.settings import Settings

_TOOLS: Final = tuple(
    tool for tool in (*READING, *EDITING, *RUNNING) if tool.name in {"read", "edit", "write", "run"}
)
_SYSTEM: Final = (
    "You are a programmer. Do what is asked in the repository, with the tools. Paths are relative to it."
)
_WANTED: Final = "Answer with the whole file, in a fence."
_FENCE: Final = re.compile(r"```\w*\n(.*?)```", re.DOTALL)


async def ask_once(exercise: Exercise, settings: Settings) -> tuple[str, Usage]:
    """Ask for the file as a whole; the file, and what that took."""
    text = f"{exercise.request}\n{exercise.path}:\n```python\n{exercise.stub}```\n\n{_WANTED}"
    request = ModelRequest("question", "You are a programmer.", (ModelMessage("user", text),))
    model = make_model(settings)
    try:
        response = await model.complete(request)
    finally:
        await model.close()
    found = _FENCE.findall(response.text)
    return found[-1] if found else response.text, response.usage


async def work_in_a_loop(exercise: Exercise, repository: Path, settings: Settings) -> tuple[str, Usage]:
    """Let it read, edit, write and run until it says that it is done; the file then, and what that took."""
    model, artifacts = make_model(settings), make_artifacts(settings)
    try:
        workspaces = open_workspaces(settings, artifacts)
        workspace = await workspaces.open(TreeBase(await artifacts.import_base(repository)))
        bench, log = Bench(workspace, lambda path: None), Counted(model)

        async def opened(tree: str) -> Bench:
            return bench

        try:
            await Loop(log, _TOOLS, opened).run(Assignment("loop", _SYSTEM, exercise.request))
            return (await content_of(bench, exercise.path)).decode(), log.usage
        finally:
            await workspace.close()
            await workspaces.close()
    finally:
        await artifacts.close()
        await model.close()
