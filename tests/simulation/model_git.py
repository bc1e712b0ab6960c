"""The Git store as a model, and the real publisher of refs on it, one step at a time."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.base.errors import MergeConflict, StoreUnavailable
from contracts.base.refs import RESULT, UNVERIFIED
from contracts.ports.artifacts import RefMove
from orchestrator.service.git_publisher import GitPublisher
from orchestrator.service.offers import Offers
from tests.simulation.choices import Choices
from tests.simulation.stepping import run
from tests.simulation.violations import Crash

LIKELY = 0.3
"""How often a move of refs fails, is made with its answer lost, or meets the death of the owner."""


class ModelGit:
    """What the owner uses of the store: where refs point, which outlives the owner."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self.refs: dict[tuple[str, str], str | None] = {}
        self.moves: set[RefMove] = set()
        """All that were ever made: a later one of the same task may have come in between."""
        self.conflicts = 0

    async def publish(self, moves: Sequence[RefMove]) -> None:
        kind = self._choices.fault(LIKELY, 4) if LIKELY else 0
        if kind == 1:
            raise StoreUnavailable("no ref was moved")
        if kind == 2:
            raise Crash("before refs are moved")
        self.moves.update(moves)
        for move in moves:
            offer_too_late = move.task_id == UNVERIFIED and (move.workflow_id, RESULT) in self.refs
            if move.commit is None or not offer_too_late:
                self.refs[(move.workflow_id, move.task_id)] = move.commit
        if kind == 3:
            raise StoreUnavailable("the answer to a move was lost")
        if kind == 4:
            raise Crash("after refs were moved")

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str:
        if self._choices.fault(0.1):
            self.conflicts += 1
            raise MergeConflict("conflict")
        return "f" * 40


class SteppedGit(GitPublisher):
    """The real publisher, which never waits for work or before it tries again."""

    def step(self) -> None:
        """Move all refs, then merge what is to be merged."""
        if self._moves:
            run(self._move())
        if not self._moves:
            merges, self._merges = self._merges, []
            for workflow in merges:
                run(self._merge(workflow))

    async def _pause(self) -> None:
        """It is tried again in another step."""


class SteppedOffers(Offers):
    """The real offers, one at a time."""

    def step(self) -> None:
        """Make the next one."""
        if not self.idle:
            run(self.make_next())
