"""What workflows may spend: a part of the settings."""

from __future__ import annotations

import math
from typing import Final

from pydantic import BaseModel, Field, TypeAdapter

from contracts.base.errors import NotConfigured
from contracts.documents.todo_list import RoleName
from contracts.messages.budget import MOST_TOKENS, MOST_USD, Budget, SpendingLimits

_ROLE: Final[TypeAdapter[str]] = TypeAdapter(RoleName)
_FORM: Final = "ROLE=DOLLARS with commas between, such as coder=1.50,tester=0.25"


class BudgetSettings(BaseModel):
    """The settings for budgets; without any nothing is limited."""

    budget: float | None = Field(
        default=None,
        gt=0,
        le=MOST_USD,
        description="USD that a workflow may spend; see [budgets](budgets.md)",
    )
    budget_tokens: int | None = Field(
        default=None, ge=1, le=MOST_TOKENS, description="tokens that a workflow may use, read and written"
    )
    task_budget: float | None = Field(
        default=None, gt=0, le=MOST_USD, description="USD for one task of a workflow, all attempts together"
    )
    task_budget_tokens: int | None = Field(
        default=None, ge=1, le=MOST_TOKENS, description="tokens for one task, all attempts together"
    )
    role_budgets: str | None = Field(
        default=None, description=f"USD for all tasks of a role in a workflow: {_FORM}"
    )

    day_budget: float | None = Field(
        default=None,
        gt=0,
        le=MOST_USD,
        description="USD that all workflows together may spend on a day of UTC; each then needs a budget",
    )

    def wanted_budget(self) -> Budget:
        """What is set. Raises NotConfigured for budgets of roles that are none."""
        return Budget(
            workflow=SpendingLimits.of(self.budget, self.budget_tokens),
            task=SpendingLimits.of(self.task_budget, self.task_budget_tokens),
            roles=_roles(self.role_budgets) if self.role_budgets else {},
        )


def _roles(text: str) -> dict[str, SpendingLimits]:
    found: dict[str, SpendingLimits] = {}
    for part in text.split(","):
        role, _, said = map(str.strip, part.partition("="))
        try:
            usd = float(said) if _ROLE.validate_python(role) not in found else math.nan
        except ValueError:
            usd = math.nan
        if not 0 < usd <= MOST_USD:
            raise NotConfigured(
                f"MULTI_AGENT_ROLE_BUDGETS holds {part.strip()[:80]!r}; it must be {_FORM}, each role once, "
                f"each more than 0 and at most {MOST_USD:,}"
            )
        found[role] = SpendingLimits.of(usd)
    return found
