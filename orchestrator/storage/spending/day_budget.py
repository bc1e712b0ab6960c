"""What all workflows may spend on a day of UTC: each is lent a slice of it, its own budget, until its end.

On a day money is spent by workflows that are open, each at most its budget, and by those that have ended on
it, each what it did spend. Their sum grows by submissions, raises and retries alone, so that these alone look
at the rows of others; no batch of an orchestrator does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import Connection, RowMapping, func, select

from contracts.base.errors import Busy, InvalidInput
from contracts.messages.budget import MICRO, Budget
from orchestrator.core.commands import Body, BudgetBody, CommandKind, RetryBody, SubmitBody, read_body
from orchestrator.core.state import WorkflowStatus
from orchestrator.storage import tables as t
from orchestrator.storage.rows import StoredOutcome

_LOCK: Final = 7_210_331_909
_DAY: Final = 86_400.0
_OPEN: Final = [status.value for status in WorkflowStatus if not status.terminal]
_GROWS: Final = [kind.value for kind in (CommandKind.SUBMIT, CommandKind.BUDGET, CommandKind.RETRY)]


class DaySpending(NamedTuple):
    """What is gone of a day, in millionths of a dollar."""

    lent: int = 0
    """To workflows that are open or queued, all of their budgets."""
    spent: int = 0
    """By workflows that have ended on the day."""

    @property
    def taken(self) -> int:
        return self.lent + self.spent


def lock_day(connection: Connection) -> None:
    """Let no other transaction lend meanwhile; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def day_spending(connection: Connection, now: float) -> DaySpending:
    """What is gone of the day at `now`, seconds since 1970."""
    # In this order: a command that is applied meanwhile is seen in what it led to.
    waiting = _waiting(connection)
    w = t.workflows.c
    begins = now - now % _DAY
    named = [name for name, _ in waiting]
    query = select(w.workflow_id, w.status, w.budget).where(
        w.budget.is_not(None),
        w.status.in_(_OPEN) | (w.finished_at >= begins) | w.workflow_id.in_(named),
    )
    budgets = {row["workflow_id"]: row for row in connection.execute(query).mappings()}
    lent = {name: _limit(row) for name, row in budgets.items() if row["status"] in _OPEN}
    for name, body in waiting:
        lent[name] = max(lent.get(name, 0), _asked(body, budgets.get(name)))
    ended = {name: row for name, row in budgets.items() if name not in lent}
    planned = sum(Budget.model_validate_json(row["budget"]).planned.micro_usd for row in ended.values())
    c = t.tasks.c
    outcomes = select(w.workflow_id, c.outcome).join(t.tasks, c.workflow_id == w.workflow_id)
    rows = connection.execute(outcomes.where(w.budget.is_not(None), w.finished_at >= begins))
    charged = (StoredOutcome.model_validate_json(text).charged for name, text in rows if name in ended)
    return DaySpending(sum(lent.values()), planned + sum(one.micro_usd for one in charged))


def check_lent(limit_usd: float, before: DaySpending, after: DaySpending, now: float) -> None:
    """Raise Busy where new commands lend more than there is."""
    limit = round(limit_usd * MICRO)
    if after.taken <= limit or after.taken <= before.taken:
        return
    hours = (_DAY - now % _DAY) / 3_600
    raise Busy(
        f"of the day's ${limit_usd:,.2f} for all workflows ${before.lent / MICRO:,.2f} are set aside for "
        f"those that are open and ${before.spent / MICRO:,.2f} are spent, and this one may spend "
        f"${(after.taken - before.taken) / MICRO:,.2f}; wait until others have ended or the next day begins "
        f"(00:00 UTC, in {hours:.1f} hours), give it less (--budget), or raise MULTI_AGENT_DAY_BUDGET"
    )


def check_limited(connection: Connection, new: Iterable[tuple[str, Body]]) -> None:
    """Raise InvalidInput for a workflow that may spend any sum."""
    for name, body in new:
        match body:
            case SubmitBody(budget=budget):
                limit = None if budget is None else budget.workflow.micro_usd
            case RetryBody():
                query = select(t.workflows.c.budget).where(t.workflows.c.workflow_id == name)
                text = connection.execute(query).scalar()
                limit = Budget.model_validate_json(text).workflow.micro_usd if text else None
            case _:
                continue
        if limit is None:
            raise InvalidInput(
                f"workflow {name} has no budget in dollars, and all workflows of a day have one "
                "(MULTI_AGENT_DAY_BUDGET); submit it with --budget USD, or set MULTI_AGENT_BUDGET"
            )


def _waiting(connection: Connection) -> list[tuple[str, Body]]:
    """Commands that lend, and are not applied yet."""
    c = t.commands.c
    query = select(c.workflow_id, c.kind, c.body).where(c.kind.in_(_GROWS), c.applied_at.is_(None))
    return [(name, read_body(kind, body)) for name, kind, body in connection.execute(query)]


def _asked(body: Body, row: RowMapping | None) -> int:
    """What a workflow may spend once the command is applied."""
    match body:
        case SubmitBody(budget=budget):
            return (budget.workflow.micro_usd or 0) if budget else 0
        case BudgetBody(limits=limits):
            return limits.micro_usd or 0
        case _:
            return _limit(row) if row else 0


def _limit(row: RowMapping) -> int:
    return Budget.model_validate_json(row["budget"]).workflow.micro_usd or 0
