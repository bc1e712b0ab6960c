"""What the tasks of a workflow have spent and set aside, kept as they change."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from contracts.messages.budget import NOTHING, UNLIMITED, Amount, Budget, SpendingLimits


class TaskSpending(NamedTuple):
    """What one version of a task has spent and set aside."""

    role: str
    charged: Amount = NOTHING
    reserved: Amount = NOTHING
    unsent: bool = False
    """Whether it is open and not dispatched, so that it may need an allowance."""
    waits: bool = False
    """Whether it waits for more than is left."""


class Totals:
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

    def add(self, spending: TaskSpending) -> None:
        """Count a version of a task."""
        self.charged = self.charged.plus(spending.charged)
        self.reserved = self.reserved.plus(spending.reserved)
        self._count(spending, 1)

    def remove(self, spending: TaskSpending) -> None:
        """Count a version of a task no more."""
        self.charged = self.charged.minus(spending.charged)
        self.reserved = self.reserved.minus(spending.reserved)
        self._count(spending, -1)

    def replace(self, old: TaskSpending | None, new: TaskSpending) -> None:
        """Count a version of a task instead of the one before, if there was one."""
        if old is not None:
            self.remove(old)
        self.add(new)

    def _count(self, spending: TaskSpending, sign: int) -> None:
        self.unsent += sign * spending.unsent
        self.waiting += sign * spending.waits
        for amount in (spending.charged, spending.reserved):
            self._money[spending.role] += sign * amount.micro_usd
            self._tokens[spending.role] += sign * amount.tokens

    def copy(self) -> Totals:
        """The same sums, to try on."""
        other = Totals()
        other.charged, other.reserved = self.charged, self.reserved
        other.unsent, other.waiting = self.unsent, self.waiting
        other._money, other._tokens = self._money.copy(), self._tokens.copy()
        return other

    def left(self, budget: Budget) -> SpendingLimits:
        """What the whole workflow has left."""
        return budget.workflow.without(budget.planned.plus(self.charged).plus(self.reserved))

    def left_for_role(self, budget: Budget, role: str) -> SpendingLimits:
        """What the tasks of a role have left together."""
        used = Amount(micro_usd=self._money[role], tokens=self._tokens[role])
        return self.left(budget).within(budget.roles.get(role, UNLIMITED).without(used))

    def left_for(self, budget: Budget, spending: TaskSpending) -> SpendingLimits:
        """What a task that has nothing set aside may still be given."""
        return self.left_for_role(budget, spending.role).within(budget.task.without(spending.charged))
