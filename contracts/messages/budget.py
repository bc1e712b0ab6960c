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

    def most(self, other: Amount) -> Amount:
        """The larger of each."""
        return Amount(
            micro_usd=max(self.micro_usd, other.micro_usd), tokens=max(self.tokens, other.tokens)
        )


NOTHING: Final = Amount()


class Limits(Model):
    """The most of each; None where there is no limit."""

    micro_usd: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)

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

    def without(self, amount: Amount) -> Limits:
        """What is left of it, at least nothing."""
        return Limits(
            micro_usd=None if self.micro_usd is None else max(0, self.micro_usd - amount.micro_usd),
            tokens=None if self.tokens is None else max(0, self.tokens - amount.tokens),
        )

    def within(self, other: Limits) -> Limits:
        """The smaller of each."""
        return Limits(
            micro_usd=_least(self.micro_usd, other.micro_usd), tokens=_least(self.tokens, other.tokens)
        )


UNLIMITED: Final = Limits()


class Budget(Model):
    """What a workflow may spend."""

    workflow: Limits = UNLIMITED
    task: Limits = Field(default=UNLIMITED, description="for each task, over all its attempts")
    roles: Mapping[Identifier, Limits] = Field(default={}, description="for all tasks of a role together")
    planned: Amount = Field(default=NOTHING, description="what making the plan has cost")


class Grant(Model):
    """What a dispatch may spend, set aside for it until its outcome."""

    allowance: Limits
    earlier: Entries[Identifier] = Field(
        default=(), max_length=1_000, description="dispatches of the task of which it is not known what they spent"
    )


class Spent(Model):
    """What an execution knows of what was spent."""

    total: Amount = Field(description="by all executions of the dispatch; nothing more can be")
    earlier: Mapping[Identifier, Amount] = Field(
        default={}, description="by dispatches that the grant names; nothing more can be"
    )


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
