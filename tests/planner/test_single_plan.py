"""A plan that no model makes."""

from __future__ import annotations

import pytest

from contracts.base.errors import InvalidInput
from contracts.base.paths import EVERYWHERE, covers
from contracts.documents.plan_checks import PlanLimits, check_plan
from planner_service import single_plan, todo_list_id

LONG = "Mend the \u202e parser\nof dates, " + "which is wrong " * 20


@pytest.mark.parametrize("request_text", ["Mend it", LONG])
def test_one_agent_does_all_and_a_check_follows(request_text: str) -> None:
    plan = single_plan(request_text, test_command=("python", "-m", "pytest"), test_seconds=1_000)
    assert check_plan(plan, PlanLimits(protected=("migrations/", "*.lock")), {"coder", "tester"}) == []
    assert (plan.todo_list_id, plan.request) == (todo_list_id(request_text.strip()), request_text.strip())
    change, check = plan.items
    assert change.output_artifacts == (EVERYWHERE,)
    assert check.dependencies == (change.task_id,)
    assert [rule.command for rule in check.acceptance_criteria.validation_rules] == ["python -m pytest"]
    assert check.timeout_seconds > 3_000
    assert (check.output_artifacts, check.acceptance_criteria.tests) == ((), ())


def test_without_tests_in_the_repository_there_is_none_to_run() -> None:
    assert single_plan("Mend it").items[1].acceptance_criteria.validation_rules == ()


def test_a_request_that_is_not_accepted_is_refused() -> None:
    with pytest.raises(InvalidInput):
        single_plan(" ")


def test_everywhere_is_every_path() -> None:
    assert covers(EVERYWHERE, "a.py")
    assert covers(EVERYWHERE, "a/b/c.py")
    assert not covers("a/", "b.py")
