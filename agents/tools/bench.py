"""What tools work with: the workspace, what may be written in it, and how commands are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.ports.workspace import CommandLimits, ExecResult, Workspace

_READ_CHARACTERS = 30_000
_OUTPUT_CHARACTERS = 16_000


async def _nobody(_question: str, _choices: Sequence[str]) -> str | None:
    """Answer where nobody can be asked."""
    return None


async def _anything(_tool: str, _written: str, _arguments: Mapping[str, Any], _where: Workspace) -> None:
    """Let every call pass."""


async def _not_known() -> str:
    return ""


def _unknown(_paths: Collection[str]) -> tuple[str, ...]:
    return ()


@dataclass(slots=True)
class Bench:
    """A workspace in the hands of one agent."""

    workspace: Workspace
    refusal: Callable[[str], str | None]
    """Why a path may not be written; None when it may."""
    output_characters: int = _OUTPUT_CHARACTERS
    """The most of one answer that is shown."""
    read_characters: int = _READ_CHARACTERS
    """The most that is shown of a file at once."""
    base: str = "HEAD"
    """The commit that work is compared with."""
    commands: int = 0
    """How many commands were run."""
    written: set[str] = field(default_factory=set)
    """Paths that tools have changed."""
    test: tuple[str, ...] = ()
    """The command that runs the repository's tests, () where none is known."""
    test_for: Callable[[Collection[str]], tuple[str, ...]] = _unknown
    """The command for tests in new files, where the repository has none."""
    on_base: Callable[[], Awaitable[str]] = _not_known
    """What that command said before any work; "" as long as nobody knows."""
    lint: tuple[str, ...] = ()
    """The repository's linter, () for none; `{file}` in it stands for a file."""
    lint_seconds: float = 20.0
    """How long it may take each time."""
    findings: dict[str, Counter[str]] = field(default_factory=dict)
    """What the linter found in a file when it was looked at last."""
    todo: tuple[tuple[str, str], ...] = ()
    """What is to be done, and how far it is."""
    ask: Callable[[str, Sequence[str]], Awaitable[str | None]] = _nobody
    """Asks a person a question with likely answers; see `Task.ask_person`."""
    permit: Callable[[str, str, Mapping[str, Any], Workspace], Awaitable[None]] = _anything
    """Returns when a call may be made: a tool, its arguments as written and read; see `CallPermits.check`."""

    async def exec(self, argv: tuple[str, ...], seconds: float | None = None) -> ExecResult:
        """Run the next command."""
        self.commands += 1
        return await self.workspace.exec(self.commands, argv, limits=CommandLimits(wall_seconds=seconds))
