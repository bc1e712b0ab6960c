"""What executions pay, as agents.worker.ledger counts it: by dispatch, whoever executes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from contracts.messages.budget import Amount, Spent
from contracts.messages.suspension import Suspension
from tests.simulation.model_store import ModelStore
from tests.simulation.parcels import Event
from tests.simulation.violations import check

COST: Final = 7
"""Of one execution, in millionths of a dollar."""
NEEDS: Final = Suspension(budget=Amount(micro_usd=COST))
_AMOUNTS: Final = [Amount(micro_usd=number) for number in range(1_000)]


@dataclass(slots=True)
class Books:
    """One for all workers, as the artifact store is."""

    store: ModelStore
    spent: Counter[str] = field(default_factory=Counter)
    """By dispatch."""
    closed: set[str] = field(default_factory=set)
    paid: Counter[str] = field(default_factory=Counter)
    """By workflow, as the service bills it."""
    refused: int = 0

    def pay(self, event: Event) -> bool:
        """Pay for an execution as it begins; False when its allowance does not bear it."""
        if event.allowance is None or event.workflowid is None:
            return True
        if event.id in self.closed or self.spent[event.id] + COST > event.allowance:
            self.refused += 1
            return False
        self.spent[event.id] += COST
        self.paid[event.workflowid] += COST
        header = self.store.headers[event.workflowid]
        limit = header.budget.workflow.micro_usd if header.budget else None
        check(limit is not None and self.paid[event.workflowid] <= limit, "a budget was overspent")
        return True

    def close(self, event: Event) -> Spent | None:
        """What was spent, after which nothing more can be."""
        if event.allowance is None:
            return None
        self.closed.update((event.id, *event.earlier))
        earlier = {name: _AMOUNTS[self.spent[name]] for name in event.earlier}
        return Spent(total=_AMOUNTS[self.spent[event.id]], earlier=earlier)
