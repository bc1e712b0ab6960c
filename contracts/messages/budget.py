"""Budgets: what a workflow may spend, what a dispatch is allowed of it, and what was spent.

Money is in millionths of a US dollar, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from contracts.base.model import Entries, Identifier, Model

MICRO: Final = 1_000_000
"""Millionths of a dollar in a dollar."""
MOST_USD: Final = 1_000_000
MOST_TOKENS: Final = 1_000_000_000_000


class Amount(Model):
    """Money and tokens, read and written ones together."""

    micro_usd: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)

    def plus(self, other: Amount) -> Amount:
        """Both together."""
        return Amount(micro_usd=self.micro_usd + other.micro_usd, tokens=self.tokens + other.tokens)

    def minus(self, other: Amount) -> Amount:
        """What is left without the other, at least nothing."""
        return Amount(
            micro_usd=max(0, self.micro_usd - other.micro_usd), tokens=max(0, self.tokens - other.tokens)
        )

    @property
    def usd(self) -> float:
        """The money in dollars."""
        return self.micro_usd / MICRO


NOTHING: Final = Amount()


class SpendingLimits(Model):
    """The most of each; None where there is no limit."""

    micro_usd: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)

    @property
    def usd(self) -> float | None:
        """The money in dollars."""
        return None if self.micro_usd is None else self.micro_usd / MICRO

    @classmethod
    def of(cls, usd: float | None, tokens: int | None = None) -> SpendingLimits:
        """From dollars."""
        return cls(micro_usd=None if usd is None else round(usd * MICRO), tokens=tokens)

    @property
    def amount(self) -> Amount:
        """What must be set aside for it."""
        return Amount(micro_usd=self.micro_usd or 0, tokens=self.tokens or 0)

    def bears(self, amount: Amount) -> bool:
        """Whether it is enough for that."""
        return all(
            most is None or wanted <= most
            for most, wanted in ((self.micro_usd, amount.micro_usd), (self.tokens, amount.tokens))
        )

    def without(self, amount: Amount) -> SpendingLimits:
        """What is left of it, at least nothing."""
        return SpendingLimits(
            micro_usd=None if self.micro_usd is None else max(0, self.micro_usd - amount.micro_usd),
            tokens=None if self.tokens is None else max(0, self.tokens - amount.tokens),
        )

    def within(self, other: SpendingLimits) -> SpendingLimits:
        """The smaller of each."""
        return SpendingLimits(
            micro_usd=_least(self.micro_usd, other.micro_usd), tokens=_least(self.tokens, other.tokens)
        )


UNLIMITED: Final = SpendingLimits()


class Budget(Model):
    """What a workflow may spend."""

    workflow: SpendingLimits = UNLIMITED
    task: SpendingLimits = Field(default=UNLIMITED, description="for each task, over all its attempts")
    roles: Mapping[Identifier, SpendingLimits] = Field(
        default={}, description="for all tasks of a role together"
    )
    planned: Amount = Field(default=NOTHING, description="what making the plan has cost")

    @property
    def counts_money(self) -> bool:
        """Whether anything is limited in dollars."""
        return any(one.micro_usd is not None for one in self._limits)

    @property
    def counts_tokens(self) -> bool:
        """Whether anything is limited in tokens."""
        return any(one.tokens is not None for one in self._limits)

    @property
    def _limits(self) -> tuple[SpendingLimits, ...]:
        return (self.workflow, self.task, *self.roles.values())

    def sentence(self, charged: Amount, needs: Amount | None = None) -> str:
        """In words what was spent of what, and what is needed next.

        charged: what was spent beside planning.
        """
        spent, limit, parts = self.planned.plus(charged), self.workflow, []
        if self.counts_money:
            of = "" if limit.usd is None else f" of ${limit.usd:,.4f}"
            next_ = f", next needs ${needs.usd:,.4f}" if needs else ""
            parts.append(f"spent ${spent.usd:,.4f}{of}{next_}")
        if self.counts_tokens:
            of = "" if limit.tokens is None else f" of {limit.tokens:,}"
            next_ = f", next needs {needs.tokens:,}" if needs else ""
            parts.append(f"spent {spent.tokens:,}{of} tokens{next_}")
        return "; ".join(parts)


class Grant(Model):
    """What a dispatch may spend, set aside for it until its outcome."""

    allowance: SpendingLimits
    earlier: Entries[Identifier] = Field(
        default=(),
        max_length=1_000,
        description="dispatches of the task of which it is not known what they spent",
    )


class Spent(Model):
    """What an execution knows of what was spent."""

    total: Amount = Field(description="by all executions of the dispatch; nothing more can be")
    earlier: Mapping[Identifier, Amount] = Field(
        default={}, description="by dispatches that the grant names; nothing more can be"
    )


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
