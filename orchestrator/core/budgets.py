"""Budgets: each dispatch sets an allowance aside out of what is left, and its outcome settles it.

So no more is ever promised than there is, however many tasks run at once. A dispatch whose outcome does not
say what was spent has spent all of its allowance, until a later one of the task has found out.
"""

from __future__ import annotations

from contracts.messages.budget import NOTHING, UNLIMITED, Amount, SpendingLimits, Spent
from contracts.messages.budget_events import BudgetRaised, TaskOutOfBudget, TaskResumed
from contracts.messages.journal import JournalEvent
from orchestrator.core.decision import Decision
from orchestrator.core.events import RaiseBudget
from orchestrator.core.state import TaskState, TaskStatus, Workflow
from orchestrator.core.totals import TaskSpending

_MOST_UNKNOWN = 1_000
_CENT = 10_000


def allowance(workflow: Workflow, task: TaskState) -> SpendingLimits | None:
    """What a dispatch of a ready task is given: its share of what is left; None without a budget.

    A share is an equal part for each open task that is not dispatched, at least what the task needs next and
    twice what it has spent so far, so that a task that needs many allowances gets few: a call may cost far
    less than what must be there for it.
    """
    budget, totals = workflow.header.budget, workflow.totals
    if budget is None or totals is None:
        return None
    shared = totals.left_for_role(budget, task.item.agent_role)
    left = totals.left_for(budget, task.spending)
    wanted = task.charged.plus(task.charged).plus(task.needs or NOTHING)
    share = SpendingLimits(
        micro_usd=_share(shared.micro_usd, totals.unsent, wanted.micro_usd),
        tokens=_share(shared.tokens, totals.unsent, wanted.tokens),
    )
    return share.within(left)


def _share(left: int | None, among: int, wanted: int) -> int | None:
    """None where tasks share nothing, so that only a limit of their own holds."""
    return None if left is None else max(left // max(1, among), wanted)


def out_of_budget(workflow: Workflow, task: TaskState) -> Decision | None:
    """Let a ready task wait for which too little is left by now; None where there is enough."""
    if task.needs is None or left_for(workflow, task).bears(task.needs):
        return None
    return _waiting(task, task.needs)


def left_for(workflow: Workflow, task: TaskState) -> SpendingLimits:
    """What a task that is not dispatched may be given at most."""
    budget, totals = workflow.header.budget, workflow.totals
    return UNLIMITED if budget is None or totals is None else totals.left_for(budget, task.spending)


def settled(task: TaskState, spent: Spent | None) -> TaskState:
    """A dispatched task with its allowance given back but for what was spent; all was where that is None."""
    if task.allowance is None or task.dispatch_id is None:
        return task
    charged, unknown = task.charged, dict(task.unknown)
    for name, amount in spent.earlier.items() if spent else ():
        if name in unknown:
            charged = charged.minus(unknown.pop(name)).plus(amount)
    if spent is None and task.allowance.amount != NOTHING:
        # One that could spend nothing holds nothing; it would only be in the way of those that do.
        unknown[task.dispatch_id] = task.allowance.amount
        while len(unknown) > _MOST_UNKNOWN:
            del unknown[next(iter(unknown))]
    charged = charged.plus(task.allowance.amount if spent is None else spent.total)
    return task._replace(allowance=None, charged=charged, unknown=tuple(unknown.items()), needs=None)


def suspend_for_budget(task: TaskState, needs: Amount) -> Decision:
    """Let a task wait whose allowance did not bear the next call; it uses no retry.

    `resumed` lets it go on at once where there is enough left.
    """
    return _waiting(task._replace(dispatch_id=None, error=None), needs)


def resumed(workflow: Workflow, decision: Decision) -> Decision:
    """Let those go on that wait for no more than is left once this decision holds."""
    budget, totals = workflow.header.budget, workflow.totals
    if budget is None or totals is None or decision.refused is not None:
        return decision
    header = decision.header or workflow.header
    changed = {task.task_id: task for task in decision.tasks}
    after = totals.copy()
    for name, task in changed.items():
        if (old := workflow.tasks.get(name)) is not None:
            after.remove(old.spending)
        after.add(task.spending)
    if not after.waiting or header.status.terminal or header.budget is None:
        return decision
    freed = []
    for task in ({**workflow.tasks, **changed}).values():
        if task.status is not TaskStatus.BUDGET or task.needs is None:
            continue
        if after.left_for(header.budget, task.spending).bears(task.needs):
            freed.append(task._replace(status=TaskStatus.READY))
            after.add(TaskSpending(task.item.agent_role, reserved=task.needs))
    names = {task.task_id for task in freed}
    told = [one for one in decision.journal if not _tells_of(one, names)]
    told += [TaskResumed(name) for name in names - changed.keys()]
    tasks = {**changed, **{task.task_id: task for task in freed}}
    return decision._replace(tasks=tuple(tasks.values()), journal=tuple(told))


def raise_budget(workflow: Workflow, event: RaiseBudget) -> Decision:
    """Raise what the workflow may spend in all, and let those go on that waited for it."""
    header = workflow.header
    if header.status.terminal:
        return Decision(refused=f"workflow is already {header.status}")
    if header.budget is None:
        return Decision(refused="the workflow has no budget; nothing limits what it spends")
    now, wanted = header.budget.workflow, event.limits
    for unit, old, new in (("USD", now.usd, wanted.usd), ("tokens", now.tokens, wanted.tokens)):
        if new is not None and old is None:
            return Decision(refused=f"the workflow has no limit in {unit}; there is nothing to raise")
        if new is not None and old is not None and new <= old:
            return Decision(refused=f"{new:,} {unit}: is not above the limit that holds, {old:,}; give more")
    limits = SpendingLimits(
        micro_usd=now.micro_usd if wanted.micro_usd is None else wanted.micro_usd,
        tokens=now.tokens if wanted.tokens is None else wanted.tokens,
    )
    raised = header._replace(budget=header.budget.model_copy(update={"workflow": limits}))
    entry = BudgetRaised(event.person, limits.usd, limits.tokens)
    return resumed(workflow, Decision(header=raised, journal=(entry,)))


def waits_for_budget(workflow: Workflow, task: TaskState) -> str:
    """What was spent of what and what a task needs next, in words."""
    budget, totals = workflow.header.budget, workflow.totals
    if budget is None or totals is None or task.needs is None:
        return "more than it may spend"
    said = budget.sentence(totals.charged, task.needs)
    return said if enough_for(workflow, task) else f"{said}: more than its task or role may spend"


def enough_for(workflow: Workflow, task: TaskState) -> SpendingLimits | None:
    """The limits of the workflow, of those that are too low, with which a waiting task goes on; full cents.

    None where a limit of its task or role holds, which stays.
    """
    budget, totals, needs = workflow.header.budget, workflow.totals, task.needs
    if budget is None or totals is None or needs is None:
        return None
    unlimited = budget.model_copy(update={"workflow": UNLIMITED})
    if not totals.left_for(unlimited, task.spending).bears(needs):
        return None
    left, used = totals.left(budget), budget.planned.plus(totals.charged).plus(totals.reserved).plus(needs)
    cents = -(-used.micro_usd // _CENT) * _CENT
    enough = SpendingLimits(
        micro_usd=cents if left.micro_usd is not None and needs.micro_usd > left.micro_usd else None,
        tokens=used.tokens if left.tokens is not None and needs.tokens > left.tokens else None,
    )
    return None if enough == UNLIMITED else enough


def _tells_of(entry: JournalEvent, names: set[str]) -> bool:
    """Whether it says that one of these waits."""
    return isinstance(entry, TaskOutOfBudget) and entry.task_id in names


def _waiting(task: TaskState, needs: Amount) -> Decision:
    waiting = task._replace(status=TaskStatus.BUDGET, needs=needs)
    entry = TaskOutOfBudget(task.task_id, task.attempt, needs.usd or None, needs.tokens or None)
    return Decision((waiting,), journal=(entry,))
