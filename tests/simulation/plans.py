"""Small random plans, made once: building documents costs more than a schedule."""

from __future__ import annotations

import random
from functools import lru_cache

from contracts.base.paths import EVERYWHERE
from contracts.documents.approval_policy import ApprovalPolicy, ApprovalRule
from contracts.documents.todo_list import Role, TodoItem, TodoList
from contracts.messages.budget import Budget, SpendingLimits
from orchestrator.core.commands import SubmitBody, body_text

PLANS = 400
ASKS = "asks"
"""The title of tasks that ask a person before they succeed."""
POISON = "poison"
"""The title of tasks that kill their worker whenever they run."""
BUDGETED = 16
"""Every so manieth plan has a budget that is soon spent."""
RULED = 10
"""Every so manieth plan has a policy."""
ASKED_FIRST = ApprovalPolicy(
    version="1",
    rules=(
        ApprovalRule(name="fixes", roles=("debugger",), hours=0.001),
        ApprovalRule(name="again", roles=("tester",), idempotent=True),
    ),
)
"""An approval that is soon too old, and one that holds for what repeats the same."""
SIZES = (1, 1, 2, 2, 3, 3, 4, 5)
"""Larger plans take longer, and of the mutants only wrong blame shows more often with them."""


@lru_cache(PLANS)
def submission(number: int) -> str:
    """The body of a submit command."""
    base = "b" * 40 if number % 3 == 0 else None
    plan = _asking(_plan(random.Random(number), asks=number % 3 == 1), number)
    few = SpendingLimits(micro_usd=10 * len(plan.items))
    budget = Budget(workflow=few) if number % BUDGETED == BUDGETED - 1 else None
    rules = ASKED_FIRST if number % RULED == RULED - 1 else None
    return body_text(SubmitBody(plan=plan, base_commit=base, questions=True, budget=budget, approvals=rules))


def _asking(plan: TodoList, number: int) -> TodoList:
    """The plan, in some of which the first coder may ask for a plan, in others for a look at tests."""
    first, *others = plan.items
    outputs = {0: (EVERYWHERE,), 3: ("src/",)}.get(number % 6)
    if outputs is None or first.agent_role != Role.CODER:
        return plan
    asking = first.model_copy(update={"output_artifacts": outputs})
    return plan.model_copy(update={"items": (asking, *others)})


def _plan(chance: random.Random, *, asks: bool) -> TodoList:
    names = [f"t{n}" for n in range(chance.choice(SIZES))]
    items = tuple(
        TodoItem(
            task_id=name,
            title=POISON if chance.random() < 0.03 else ASKS if asks and not n else name,
            agent_role=chance.choice(("coder", "coder", "tester")),
            dependencies=tuple(chance.sample(names[:n], k=min(n, chance.randint(0, 2)))),
            output_artifacts=(f"{name}.py",),
            max_retries=chance.randint(0, 2),
            max_cycles=chance.randint(0, 2),
            requires_approval=chance.random() < 0.15,
            timeout_seconds=chance.choice((1, 5, 600)),
        )
        for n, name in enumerate(names)
    )
    return TodoList(todo_list_id="plan", request="build it", items=items)
