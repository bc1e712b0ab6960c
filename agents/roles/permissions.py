"""What each role that works in steps may do: its tools, and whose files it leaves as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from agents.tools.asking import ASKING
from agents.tools.comparing import COMPARING
from agents.tools.editing import EDITING
from agents.tools.patching import PATCHING
from agents.tools.planning import PLANNING
from agents.tools.reading import READING
from agents.tools.running import RUNNING
from agents.tools.tool import Tool

_TOOLS: Final[Mapping[str, Tool[Any]]] = {
    tool.name: tool for tool in (*READING, *COMPARING, *EDITING, *PATCHING, *RUNNING, *PLANNING, *ASKING)
}
_LOOKS: Final = ("read", "search", "find", "list")
_CHANGES: Final = ("edit", "patch", "write")
_RUNS: Final = ("run", "test")


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a role may do. Which paths its task may write says the task (`Task.refusal`)."""

    tools: tuple[str, ...]
    leaves: frozenset[str] = frozenset()
    """Roles whose test files it leaves as they are."""
    only_tests: bool = False
    """Whether it writes files alone that serve tests."""

    @property
    def allowed(self) -> tuple[Tool[Any], ...]:
        """The tools themselves."""
        return tuple(_TOOLS[name] for name in self.tools)


PERMISSIONS: Final[Mapping[str, Permissions]] = MappingProxyType(
    {
        "architect": Permissions(_LOOKS),
        "tester": Permissions((*_LOOKS, *_CHANGES, *_RUNS, "todo"), only_tests=True),
        "reviewer": Permissions((*_LOOKS, "diff")),
        "coder": Permissions((*_LOOKS, *_CHANGES, *_RUNS, "todo", "ask"), frozenset({"tester"})),
        "debugger": Permissions((*_LOOKS, "diff", *_CHANGES, *_RUNS, "todo", "ask"), frozenset({"tester"})),
    }
)
