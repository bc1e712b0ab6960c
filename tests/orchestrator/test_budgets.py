"""Budgets of workflows: no more is promised than there is, whatever happens to those who spend it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages.budget import NOTHING, Amount, Budget, SpendingLimits, Spent
from contracts.messages.budget_events import BudgetRaised, TaskOutOfBudget, TaskResumed
from contracts.messages.events import decode
from contracts.messages.payloads import TaskRequest
from contracts.messages.suspension import Suspension
from orchestrator.core.decision import Decision
from orchestrator.core.events import Cancel, Dispatch, Finished, Lost, Overdue, RaiseBudget
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.diagnosis.explain import Observations, explain
from orchestrator.diagnosis.remedies import with_remedies
from orchestrator.scheduling.messages import request_message
from orchestrator.storage.sql.database import Database
from tests.orchestrator.plans import WORKFLOW, Play, failed, item, outcome, plan
from tests.release.history import Desk

USD = 1_000_000


def money(micro_usd: int) -> Amount:
    return Amount(micro_usd=micro_usd)


def dollars(usd: float, **more: object) -> Budget:
    return Budget.model_validate({"workflow": {"micro_usd": round(usd * USD)}, **more})


def spend(play: Play, task_id: str, dispatch_id: str, used: int, **more: object) -> Decision:
    spent = Spent(total=money(used))
    return play.give(Finished(task_id, outcome(dispatch_id, **{"spent": spent, **more})))


def suspend(play: Play, task_id: str, dispatch_id: str, used: int, needs: int) -> Decision:
    why = Suspension(budget=money(needs))
    return spend(play, task_id, dispatch_id, used, status="suspended", suspended=why)


def granted(play: Play, task_id: str) -> int | None:
    found = play.workflow.tasks[task_id].allowance
    return found.micro_usd if found else None


def left(workflow: Workflow) -> SpendingLimits:
    assert workflow.totals is not None
    assert workflow.header.budget is not None
    return workflow.totals.left(workflow.header.budget)


def test_parallel_tasks_share_what_is_left_and_give_back_what_they_do_not_use() -> None:
    play = Play(plan(item("a"), item("b")), budget=dollars(1.0, planned={"micro_usd": 100_000}))
    first, second = play.dispatch("a"), play.dispatch("b")
    assert (granted(play, "a"), granted(play, "b")) == (450_000, 450_000)
    assert left(play.workflow).micro_usd == 0
    spend(play, "a", first, 50_000)
    assert left(play.workflow).micro_usd == 400_000
    spend(play, "b", second, 450_000)
    assert left(play.workflow).micro_usd == 400_000
    assert play.workflow.tasks["a"].allowance is None


def test_the_dispatch_carries_its_grant_and_without_a_budget_none() -> None:
    play = Play(plan(item("a", max_retries=3)), budget=dollars(1.0))
    lost = play.dispatch("a")
    play.give(Lost("a", lost, "w1"))
    play.dispatch("a")
    data = decode(request_message(play.workflow.header, play.workflow.tasks["a"]).payload).data
    assert isinstance(data, TaskRequest)
    assert data.grant is not None
    assert (data.grant.allowance.micro_usd, data.grant.earlier) == (0, (lost,))
    free = Play(plan(item("a")))
    free.dispatch("a")
    message = request_message(free.workflow.header, free.workflow.tasks["a"])
    assert b"grant" not in message.payload


def test_a_task_that_needs_more_goes_on_with_what_others_do_not_have() -> None:
    play = Play(plan(item("a", max_retries=0), item("b")), budget=dollars(1.0))
    decision = suspend(play, "a", play.dispatch("a"), used=400_000, needs=200_000)
    assert play.status("a") == "ready"
    assert decision.journal == ()
    again = play.dispatch("a")
    assert granted(play, "a") == 600_000
    decision = suspend(play, "a", again, used=500_000, needs=200_000)
    assert play.status("a") == "waiting_budget"
    assert decision.journal == (TaskOutOfBudget("a", 2, 0.2, None),)
    task = play.workflow.tasks["a"]
    assert (task.failures, task.charged.micro_usd, task.dispatch_id) == (0, 900_000, None)


def test_what_another_gives_back_lets_a_task_go_on() -> None:
    play = Play(plan(item("a"), item("b")), budget=dollars(1.0))
    first, second = play.dispatch("a"), play.dispatch("b")
    suspend(play, "a", first, used=500_000, needs=200_000)
    assert play.status("a") == "waiting_budget"
    decision = spend(play, "b", second, 100_000)
    assert play.status("a") == "ready"
    assert TaskResumed("a") in decision.journal
    play.dispatch("a")
    assert granted(play, "a") == 400_000


def test_raising_continues_it_and_only_upwards() -> None:
    play = Play(plan(item("a")), budget=dollars(0.5))
    suspend(play, "a", play.dispatch("a"), used=400_000, needs=200_000)
    for usd, tokens, why in ((0.5, None, "not above"), (0.1, 9, "not above"), (0.6, 9, "no limit in tokens")):
        wrong = RaiseBudget(SpendingLimits.of(usd, tokens), "me")
        assert why in str(play.give(wrong).refused)
    short = play.give(RaiseBudget(SpendingLimits(micro_usd=550_000), "me"))
    assert (play.status("a"), short.journal) == ("waiting_budget", (BudgetRaised("me", 0.55, None),))
    enough = play.give(RaiseBudget(SpendingLimits(micro_usd=600_000), "me"))
    assert enough.journal == (BudgetRaised("me", 0.6, None), TaskResumed("a"))
    spend(play, "a", play.dispatch("a"), 200_000)
    assert left(play.workflow).micro_usd == 0
    assert "no budget" in str(Play(plan(item("a"))).give(RaiseBudget(SpendingLimits(tokens=1), "me")).refused)


def test_what_is_lost_costs_all_of_its_allowance_until_a_successor_knows_better() -> None:
    play = Play(plan(item("a", max_retries=5)), budget=dollars(1.0))
    first = play.dispatch("a")
    play.give(Lost("a", first, "w1"))
    assert left(play.workflow).micro_usd == 0
    second = play.dispatch("a")
    assert granted(play, "a") == 0
    known = Spent(total=NOTHING, earlier={first: money(300_000), "another": money(1)})
    why = Suspension(budget=money(100_000))
    play.give(Finished("a", outcome(second, status="suspended", suspended=why, spent=known)))
    task = play.workflow.tasks["a"]
    assert (task.charged.micro_usd, task.unknown, task.status) == (300_000, (), "ready")
    third = play.dispatch("a")
    assert granted(play, "a") == 700_000
    play.give(Overdue("a", third))
    assert left(play.workflow).micro_usd == 0


def test_an_outcome_that_does_not_say_it_costs_all_of_it() -> None:
    play = Play(plan(item("a", max_retries=5)), budget=dollars(1.0))
    play.give(Finished("a", failed(play.dispatch("a"))))
    assert left(play.workflow).micro_usd == 0
    play = Play(plan(item("a")), budget=dollars(1.0))
    play.dispatch("a")
    play.give(Cancel("me"))
    assert left(play.workflow).micro_usd == 0


def test_why_says_what_is_needed_and_what_to_do() -> None:
    play = Play(plan(item("a"), item("b", "a")), budget=dollars(1.0))
    suspend(play, "a", play.dispatch("a"), used=900_000, needs=200_000)
    reasons = explain(play.workflow, Observations(now=1.0))
    told = with_remedies(WORKFLOW, play.workflow, reasons, workers_can_join=False)
    said = "waits for budget: spent $0.9000 of $1.0000, next needs $0.2000"
    assert [(one.code, one.text) for one in told] == [
        ("budget", said),
        ("dependency", f"waits for a, which {said}"),
    ]
    assert told[0].do.endswith(f"budget raise {WORKFLOW} 1.10")


def test_why_says_where_raising_does_not_help() -> None:
    play = Play(plan(item("a")), budget=dollars(1.0, task={"micro_usd": 300_000}))
    suspend(play, "a", play.dispatch("a"), used=200_000, needs=200_000)
    reasons = explain(play.workflow, Observations(now=1.0))
    [told] = with_remedies(WORKFLOW, play.workflow, reasons, workers_can_join=False)
    assert told.text.endswith("next needs $0.2000: more than its task or role may spend")
    assert told.do.endswith(f"cancel {WORKFLOW}")


def test_why_says_in_which_unit_more_is_needed() -> None:
    play = Play(plan(item("a")), budget=Budget(workflow=SpendingLimits.of(1.0, 50)))
    why, spent = Suspension(budget=Amount(tokens=20)), Spent(total=Amount(tokens=40))
    more = outcome(play.dispatch("a"), status="suspended", suspended=why, spent=spent)
    play.give(Finished("a", more))
    reasons = explain(play.workflow, Observations(now=1.0))
    [told] = with_remedies(WORKFLOW, play.workflow, reasons, workers_can_join=False)
    assert told.do.endswith(f"budget raise {WORKFLOW} --tokens 60")


def test_a_task_that_asks_for_what_it_had_fails_its_attempt() -> None:
    play = Play(plan(item("a", max_retries=0)), budget=dollars(1.0))
    suspend(play, "a", play.dispatch("a"), used=0, needs=1_000_000)
    error = play.workflow.tasks["a"].error
    assert error is not None
    assert (play.status("a"), error.code) == ("failed", "budget_refused")


def test_limits_of_tasks_and_roles_hold_beside_that_of_the_workflow() -> None:
    budget = dollars(10.0, task={"micro_usd": 300_000}, roles={"coder": {"micro_usd": 500_000, "tokens": 90}})
    play = Play(plan(item("a"), item("b"), item("c", role="architect")), budget=budget)
    for name in ("a", "b", "c"):
        play.dispatch(name)
    assert [granted(play, name) for name in ("a", "b", "c")] == [166_666, 166_667, 300_000]
    tokens = [task.allowance.tokens for task in play.workflow.tasks.values() if task.allowance]
    assert tokens == [30, 30, None]


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["dispatch", "spend", "suspend", "lose", "overdue", "fail", "raise"]),
        st.integers(0, 49),
        st.integers(0, 60_000),
    ),
    max_size=150,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_fifty_racing_workers_never_overspend(steps: list[Step]) -> None:
    """What workers spend within their allowances is never more than the budget, and the books agree."""
    play = Play(plan(*(item(f"t{i}", max_retries=9) for i in range(50))), budget=dollars(1.0))
    paid = 0
    for kind, number, amount in steps:
        paid += _step(play, kind, f"t{number}", amount)
        budget, totals = play.workflow.header.budget, play.workflow.totals
        assert budget is not None
        assert totals is not None
        limit = budget.workflow.micro_usd or 0
        assert paid <= totals.charged.plus(totals.reserved).micro_usd <= limit
        fresh = Workflow.load(play.workflow.header, play.workflow.tasks.values()).totals
        assert fresh is not None
        assert vars(fresh) == vars(totals)
        for task in play.workflow.tasks.values():
            assert (task.allowance is not None) == (task.status is TaskStatus.DISPATCHED)


def _step(play: Play, kind: str, task_id: str, amount: int) -> int:
    """Let something happen; what was paid for it."""
    task = play.workflow.tasks[task_id]
    if kind == "raise":
        now = play.workflow.header.budget
        assert now is not None
        play.give(RaiseBudget(SpendingLimits(micro_usd=(now.workflow.micro_usd or 0) + amount), "me"))
    if task.status is TaskStatus.READY and kind == "dispatch":
        play.give(Dispatch(task_id, f"{task_id}-{task.attempt}"))
    if task.status is not TaskStatus.DISPATCHED or task.allowance is None or task.dispatch_id is None:
        return 0
    used, name = min(amount, task.allowance.micro_usd or 0), task.dispatch_id
    match kind:
        case "spend":
            spend(play, task_id, name, used)
        case "suspend":
            suspend(play, task_id, name, used, needs=(task.allowance.micro_usd or 0) + 1)
        case "fail":
            play.give(Finished(task_id, failed(name)))
        case "lose":
            play.give(Lost(task_id, name, "w1", alone=False))
        case "overdue":
            play.give(Overdue(task_id, name))
        case _:
            return 0
    return used


async def test_it_is_stored_and_raised_by_a_command(database: Database) -> None:
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await desk.submit("short", item("a"), item("b"), budget=dollars(1.0))
    spent = {"total": {"micro_usd": 400_000}}
    why = {"budget": {"micro_usd": 700_000}}
    await desk.finish("short", "b", spent={"total": {"micro_usd": 500_000}})
    await desk.finish("short", "a", status="suspended", suspended=why, spent=spent)
    stored = await desk.store.load("short")
    assert stored is not None
    assert stored.tasks["a"] == desk.engine.workflows["short"].tasks["a"]
    assert stored.tasks["a"].status is TaskStatus.BUDGET
    view = await desk.client.workflow("short")
    assert view is not None
    assert (view.stands_still, [task.task_id for task in view.waiting_for_budget]) == (True, ["a"])
    await desk.client.raise_budget("short", SpendingLimits(micro_usd=2_000_000), "me")
    await desk.apply_commands()
    stored = await desk.store.load("short")
    assert stored is not None
    assert stored.header == desk.engine.workflows["short"].header
    assert stored.tasks["a"].status is TaskStatus.DISPATCHED
    assert stored.tasks["a"].allowance == SpendingLimits(micro_usd=1_100_000)
    assert left(stored).micro_usd == 0
    assert stored.tasks == desk.engine.workflows["short"].tasks


def test_where_only_tasks_are_limited_the_first_dispatch_has_all_that_its_task_may_spend() -> None:
    for budget in ({"task": {"micro_usd": 9}}, {"task": {"micro_usd": 9}, "workflow": {"tokens": 80}}):
        play = Play(plan(item("a"), item("b")), budget=Budget.model_validate(budget))
        play.dispatch("a")
        assert granted(play, "a") == 9


def test_lost_dispatches_that_held_nothing_do_not_hide_the_one_that_held_all() -> None:
    play = Play(plan(item("a")), budget=dollars(1.0))
    first = play.dispatch("a")
    play.give(Lost("a", first, "w1", alone=False))
    for _ in range(30):
        play.give(Lost("a", play.dispatch("a"), "w1", alone=False))
    play.dispatch("a")
    data = decode(request_message(play.workflow.header, play.workflow.tasks["a"]).payload).data
    assert isinstance(data, TaskRequest)
    assert data.grant is not None
    assert data.grant.earlier == (first,)


def test_a_task_that_waits_without_saying_what_it_spent_uses_no_retry() -> None:
    play = Play(plan(item("a", max_retries=0)), budget=dollars(1.0))
    why = Suspension(budget=money(200_000))
    play.give(Finished("a", outcome(play.dispatch("a"), status="suspended", suspended=why)))
    task = play.workflow.tasks["a"]
    assert (task.status, task.failures, task.charged.micro_usd) == (TaskStatus.BUDGET, 0, 1_000_000)


def test_who_dies_in_silence_lets_those_go_on_who_need_less_than_one_that_was_promised_more() -> None:
    for end in (Overdue("b", "b-1"), Lost("b", "b-1", "w1")):
        play = Play(plan(item("b", max_retries=0), item("x"), item("y")), budget=dollars(0.000012))
        x, y = play.dispatch("x"), play.dispatch("y")
        suspend(play, "x", x, used=0, needs=10)
        suspend(play, "y", y, used=0, needs=7)
        assert (play.status("x"), play.status("y")) == ("ready", "waiting_budget")
        play.give(Dispatch("b", "b-1"))
        play.give(Dispatch("x", "x-2"))
        assert (play.status("x"), left(play.workflow).micro_usd) == ("waiting_budget", 8)
        play.give(end)
        assert play.status("y") == "ready"


def test_a_task_of_many_calls_gets_few_allowances_also_where_calls_cost_little_of_what_they_might() -> None:
    play = Play(plan(*(item(f"t{number}") for number in range(50))), budget=dollars(5.0))
    bound, cost, calls, executions = 250_000, 10_000, 0, 1
    name = play.dispatch("t0")
    while calls < 40:
        used, most = 0, granted(play, "t0") or 0
        while used + bound <= most and calls < 40:
            used, calls = used + cost, calls + 1
        if calls < 40:
            suspend(play, "t0", name, used, needs=bound)
            name, executions = play.dispatch("t0"), executions + 1
    assert executions <= 6
