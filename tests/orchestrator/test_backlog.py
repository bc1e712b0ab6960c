"""Workflows that an owner has not read yet at its start."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.core.state import Workflow
from orchestrator.scheduling.engine import Engine
from orchestrator.service.backlog import Backlog
from tests.orchestrator.plans import item, plan


class Shelf:
    """Has every workflow, and remembers which were taken."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def load_open(self, names: Sequence[str]) -> list[Workflow]:
        self.taken += names
        return [Workflow.start(name, plan(item("a")), shard=0, now=0.0) for name in names]


async def test_what_a_command_has_brought_in_is_not_read_again() -> None:  # I2
    shelf, engine = Shelf(), Engine(lambda: "d1", window=4)
    early = Workflow.start("early", plan(item("a")), shard=0, now=0.0)
    engine.adopt(early, 0.0)
    backlog = Backlog(shelf, engine, ["early", "other"])
    await backlog.read_next(0.0)
    assert (shelf.taken, backlog.empty) == (["other"], True)
    assert engine.workflows["early"] is early
