"""A loop in memory: its workspace is a list of lines, and a tree's name is what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from agents.loop.ends import USUAL_ENDS, Ends
from agents.loop.loop import Assignment, Loop
from agents.sdk.exchange_log import ExchangeLog, ExchangeScope
from agents.tools.bench import Bench
from agents.tools.tool import Tool
from contracts.base.model import Model
from contracts.ports.workspace import Workspace
from tests.agents.support import ExchangesInMemory, ScriptedModel

WORK = Assignment("coder.step", "You work in steps.", "Write lines.")


@dataclass
class Lines:
    """What a loop needs of a workspace."""

    held: list[str] = field(default_factory=list)

    async def snapshot(self) -> str:
        return " ".join(self.held)


class Add(Model):
    """Add a line."""

    text: str


def lines_of(bench: Bench | None) -> list[str]:
    """The lines in a bench's workspace."""
    assert bench is not None
    return cast("Lines", bench.workspace).held


async def add(bench: Bench, asked: Add) -> str:
    lines_of(bench).append(asked.text)
    return f"added {asked.text}"


ADD = Tool("add", Add, add)


def lines_loop(
    store: ExchangesInMemory,
    model: ScriptedModel,
    tools: Sequence[Tool[Any]] = (ADD,),
    workspace: type[Lines] = Lines,
    ends: Ends = USUAL_ENDS,
) -> tuple[Loop, ExchangeLog]:
    """A loop of one worker over a store."""

    async def open_bench(tree: str) -> Bench:
        return Bench(cast("Workspace", workspace(tree.split())), lambda _path: None)

    log = ExchangeLog(ExchangeScope("w", "t", 1), model, store)
    return Loop(log, tools, open_bench, ends=ends), log
