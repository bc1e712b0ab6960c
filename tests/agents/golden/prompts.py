"""Makes the first prompt of each role, in a repository and from nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agents.roles.architect import ArchitectAgent
from agents.roles.coder import CoderAgent
from agents.roles.debugger import DebuggerAgent
from agents.roles.reviewer import ReviewerAgent
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from contracts.base.errors import ModelRefused
from contracts.base.paths import EVERYWHERE
from contracts.ports.model import ModelRequest
from tests.agents.over_trees import OverTrees
from tests.agents.support import ScriptedModel, TaskMaker, contract

FOLDER: Final = Path(__file__).parent
START: Final = {"src/app.py": b"def double(x):\n    return x\n", "CONTRIBUTING.md": b"Lines are short.\n"}
FILES: Final = {**START, "src/app.py": b"def double(x):\n    return x + x\n"}
_TEST: Final = "tests/test_app.py::test_two"
_TRACE: Final = "    def test_two():\n>       assert double(2) == 4\nE       assert 2 == 4"
_REPORT: Final = {
    "passed": False,
    "results": [
        {"test_id": _TEST, "outcome": "failed", "message": "assert 2 == 4", "traceback": _TRACE},
        {"test_id": "tests/test_app.py::test_one", "outcome": "passed"},
    ],
    "runs": [{"cmd": "pytest tests", "verdict": "failed", "exit_code": 1}],
}
_WRITES: Final[Mapping[str, tuple[Any, tuple[str, ...]]]] = {
    "architect": (ArchitectAgent, ("docs/api.json",)),
    "coder": (CoderAgent, ("src/",)),
    "tester": (TesterAgent, ("tests/",)),
    "debugger": (DebuggerAgent, ("src/",)),
    "reviewer": (ReviewerAgent, ()),
    "alone": (CoderAgent, (EVERYWHERE,)),
}
ROLES: Final = tuple(_WRITES)


async def first_request(role: str, over: OverTrees | None = None) -> ModelRequest:
    """What a role asks first; from nothing without `over`."""
    agent, writes = _WRITES[role]
    model = ScriptedModel(ModelRefused("enough"))
    reports: dict[str, Any] = {"test": _REPORT}
    files = {
        **FILES,
        "tests/test_app.py": b"from src.app import double\n",
        "contract.json": contract("test_two").encode(),
    }
    task = TaskMaker(model)(
        base=BaseTree(files, reports),
        role="coder" if role == "alone" else role,
        description="Double what is given.",
        dependencies=["test"] if role == "debugger" else [],
        input_artifacts=["contract.json"],
        writable=writes,
    )
    task = task if over is None else over.give(task, START)
    try:
        await agent().run(task)
    except ModelRefused:
        return model.requests[0]
    raise AssertionError("it did not ask")


def shown(request: ModelRequest) -> str:
    """A request as a file: its system, its tools and its text."""
    tools = "\n".join(f"- {tool.name}: {tool.description}" for tool in request.tools)
    return f"# system\n\n{request.system}\n# tools\n\n{tools}\n\n# user\n\n{request.messages[0].text}"
