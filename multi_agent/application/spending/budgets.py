"""What workflows may spend: found before they start, shown, and raised."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput, NotConfigured
from contracts.messages.budget import MICRO, NOTHING, UNLIMITED, Amount, Budget, SpendingLimits
from contracts.messages.suspension import Suspended, Suspension
from contracts.ports.model import PURSE
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.state import Workflow

if TYPE_CHECKING:
    from multi_agent.settings import Settings


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What a workflow may spend and has spent."""

    workflow_id: str
    limit_usd: float | None
    """None for no limit."""
    limit_tokens: int | None
    spent_usd: float
    """With planning, and with all that lost dispatches might have spent."""
    spent_tokens: int
    reserved_usd: float
    """Set aside for what is dispatched."""
    reserved_tokens: int
    needs_usd: float | None
    """What the waiting task that needs least needs next, None when none waits."""
    needs_tokens: int | None
    waiting: tuple[str, ...]
    """Tasks that wait for more."""

    sentence: str
    """Spent, limit and need in words."""


def budget_state(view: WorkflowView) -> BudgetState | None:
    """What a workflow may spend; None for one that nothing limits."""
    budget, totals = view.header.budget, Workflow.load(view.header, view.tasks).totals
    if budget is None or totals is None:
        return None
    spent = budget.planned.plus(totals.charged)
    waiting = view.waiting_for_budget
    needs = min((task.needs or NOTHING for task in waiting), key=_size, default=None)
    return BudgetState(
        view.header.workflow_id,
        budget.workflow.usd,
        budget.workflow.tokens,
        spent.usd,
        spent.tokens,
        totals.reserved.usd,
        totals.reserved.tokens,
        needs.usd if needs else None,
        needs.tokens if needs else None,
        tuple(task.task_id for task in waiting),
        budget.sentence(totals.charged, needs),
    )


async def day_sentence(client: WorkflowClient, limit_usd: float | None) -> str:
    """What is gone of what all workflows may spend today, in words; "" where nothing limits that."""
    if limit_usd is None:
        return ""
    day = await client.day_spending()
    lent, spent = (f"${part / MICRO:,.4f}" for part in day)
    said = f"{lent} set aside for those that are open, {spent} spent by those that have ended"
    return f"all workflows today: {said}, of ${limit_usd:,.4f}"


def _size(amount: Amount) -> tuple[int, int]:
    return amount.micro_usd, amount.tokens


def find_budget(
    settings: Settings,
    of_repository: float | None,
    check_price: Callable[[], None],
    say: Callable[[str], None],
    *,
    served_elsewhere: bool = False,
) -> Budget | None:
    """What a new workflow may spend, by the settings and at most what its repository says; None for all.

    check_price: raises NotConfigured where what the model costs is not known; so does this for a budget in
    dollars of the user's own, unless those who serve the workflow may know more of prices. Raises
    InvalidInput for none in dollars where all workflows of a day have one.
    """
    found = settings.wanted_budget()
    if found.counts_money and not served_elsewhere:
        check_price()
    if of_repository is not None:
        try:
            check_price()
        except NotConfigured:
            say(f"the repository's budget of ${of_repository:,.2f} is not kept: no prices are set")
        else:
            found = found.model_copy(
                update={"workflow": found.workflow.within(SpendingLimits.of(of_repository))}
            )
    if settings.day_budget is not None and found.workflow.micro_usd is None:
        raise InvalidInput(
            f"all workflows of a day may spend ${settings.day_budget:,.2f} (MULTI_AGENT_DAY_BUDGET), so each "
            "needs a budget in dollars: give --budget USD, or set MULTI_AGENT_BUDGET"
        )
    return None if found == Budget() else found


class PlanningPurse:
    """What making a plan may spend, in this process."""

    def __init__(self, limits: SpendingLimits) -> None:
        self._limits = limits
        self._tries: list[Amount] = []

    @property
    def counts_money(self) -> bool:
        return self._limits.micro_usd is not None

    @property
    def spent(self) -> Amount:
        """By all tries so far."""
        total = NOTHING
        for one in self._tries:
            total = total.plus(one)
        return total

    async def reserve(self, request_hash: str, bound: Amount) -> int:
        if not self._limits.bears(self.spent.plus(bound)):
            raise Suspended(Suspension(budget=bound))
        self._tries.append(bound)
        return len(self._tries) - 1

    def settle(self, number: int, used: Amount) -> None:
        self._tries[number] = used

    def read_back(self, request_hash: str, used: Amount) -> None:
        """Nothing is read back here."""


@asynccontextmanager
async def planning_within(budget: Budget | None) -> AsyncIterator[PlanningPurse]:
    """A purse for what the `with` body asks of models. Raises InvalidInput where the budget is too small."""
    limits = budget.workflow if budget else UNLIMITED
    purse = PlanningPurse(limits)
    token = PURSE.set(purse if budget else None)
    try:
        yield purse
    except Suspended as suspended:
        wanted = Budget(workflow=limits).sentence(purse.spent, suspended.suspension.budget)
        raise InvalidInput(
            f"budget: too small to make a plan: {wanted}; give more (--budget, --budget-tokens)"
        ) from None
    finally:
        PURSE.reset(token)
