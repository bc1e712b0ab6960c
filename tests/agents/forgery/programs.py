"""Reads the programs, and runs the tests of one in a sandbox."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from contracts.ports.sandbox import Sandbox
from tests.agents.support import TaskMaker

_HERE: Final = Path(__file__).parent
_COMMANDS: Final = {"py": "pytest tests", "mjs": "node --test tests"}


@dataclass(frozen=True, slots=True)
class Program:
    """A project: some code, and honest tests of it."""

    name: str
    files: Mapping[str, str]
    language: str
    """The suffix of its files."""
    limit: str = ""
    """Why its tests may pass although it is wrong; "" when they may not."""

    async def run(self, sandbox: Sandbox) -> AgentResult:
        """Run its tests as a tester does."""
        base = BaseTree({path: text.encode() for path, text in self.files.items()})
        criteria = {"tests": [{"cmd": _COMMANDS[self.language], "timeout_seconds": 20}]}
        task = TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
        return await TesterAgent().run(task)


def forging() -> tuple[Program, ...]:
    """The programs that are wrong."""
    tests = _read("tests")
    return tuple(
        Program(
            name,
            {**tests[found["tests"]], f"app/calc.{suffix}": found["code"], **found.get("files", {})},
            suffix,
            found.get("limit", ""),
        )
        for suffix, file in (("py", "python"), ("mjs", "node"))
        for name, found in _read(file).items()
    )


def honest() -> tuple[Program, ...]:
    """The programs that are right."""
    return tuple(
        Program(name, files, "py" if "app/__init__.py" in files or _is_python(files) else "mjs")
        for name, files in _read("honest").items()
    )


def _is_python(files: Mapping[str, str]) -> bool:
    return any(path.endswith(".py") for path in files)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / f"{name}.toml").read_text("utf-8"))
