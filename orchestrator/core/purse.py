"""What the tasks of a workflow have spent and set aside, kept as they change."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from contracts.messages.budget import NOTHING, UNLIMITED, Amount, Budget, Limits


class Holding(NamedTuple):
    """What one version of a task has spent and set aside."""

    role: str
    charged: Amount = NOTHING
    reserved: Amount = NOTHING
    unsent: bool = False
    """Whether it is open and not dispatched, so that it may need an allowance."""
    waits: bool = False
    """Whether it waits for more than is left."""


class Purse:
    """Sums over the tasks of one workflow. The tasks are the truth; this is derived from them."""

    def __init__(self) -> None:
        self.charged = NOTHING
        self.reserved = NOTHING
        self.unsent = 0
        """How many open tasks are not dispatched."""
        self.waiting = 0
        """How many tasks wait for more than is left."""
        self._money: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()

    def add(self, holding: Holding) -> None:
        """Count a version of a task."""
        self.charged = self.charged.plus(holding.charged)
        self.reserved = self.reserved.plus(holding.reserved)
        self._count(holding, 1)

    def remove(self, holding: Holding) -> None:
        """Count a version of a task no more."""
        self.charged = self.charged.minus(holding.charged)
        self.reserved = self.reserved.minus(holding.reserved)
        self._count(holding, -1)

    def _count(self, holding: Holding, sign: int) -> None:
        self.unsent += sign * holding.unsent
        self.waiting += sign * holding.waits
        for amount in (holding.charged, holding.reserved):
            self._money[holding.role] += sign * amount.micro_usd
            self._tokens[holding.role] += sign * amount.tokens

    def copy(self) -> Purse:
        """The same sums, to try on."""
        other = Purse()
        other.charged, other.reserved = self.charged, self.reserved
        other.unsent, other.waiting = self.unsent, self.waiting
        other._money, other._tokens = self._money.copy(), self._tokens.copy()
        return other

    def left(self, budget: Budget) -> Limits:
        """What the whole workflow has left."""
        return budget.workflow.without(budget.planned.plus(self.charged).plus(self.reserved))

    def left_for_role(self, budget: Budget, role: str) -> Limits:
        """What the tasks of a role have left together."""
        used = Amount(micro_usd=self._money[role], tokens=self._tokens[role])
        return self.left(budget).within(budget.roles.get(role, UNLIMITED).without(used))

    def left_for(self, budget: Budget, holding: Holding) -> Limits:
        """What a task that has nothing set aside may still be given."""
        return self.left_for_role(budget, holding.role).within(budget.task.without(holding.charged))
