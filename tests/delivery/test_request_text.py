"""The text of a request claims what was shown, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artifacts.delivery.differences import ChangedFile
from multi_agent.application.delivery.delivered import Delivered
from multi_agent.application.delivery.evidence import Evidence
from multi_agent.application.delivery.request_text import request_text
from multi_agent.application.ends.results import OfferedWork
from multi_agent.application.ends.summary import Summary
from multi_agent.application.ends.verdicts import FindingFate
from orchestrator.client.views import WorkflowView
from tests.orchestrator.plans import Play, item, plan

DELIVERED = Delivered(WorkflowView(Play(plan(item("code"))).workflow.header, ()), "b", "c" * 40)
OFFERED = replace(DELIVERED, offered=OfferedWork("b", "c" * 40, ("test: 1 failed",), ("doc: conflicts",)))
TESTED = Summary(
    workflow_id="w",
    status="completed",
    reason="",
    request="Do it",
    files=(),
    tests_passed=3,
    tests_failed=0,
    tests_apart=0,
    coverage_percent=None,
    tasks=1,
    attempts=1,
    debug_cycles=0,
    model_calls=1,
    input_tokens=1,
    output_tokens=1,
    cost_usd=0.0,
    seconds=1.0,
    sandbox="",
    branch=None,
    commit=None,
    store="",
    test_reports=1,
)
FINDING = FindingFate("review", "minor", "a.py", "rename `it`", "noted")


@pytest.mark.parametrize(
    ("delivered", "summary", "level"),
    [
        (DELIVERED, TESTED, "Verified"),
        (DELIVERED, replace(TESTED, untested=("code",)), "Not tested"),
        (DELIVERED, replace(TESTED, test_reports=0), "Completed"),
        (OFFERED, TESTED, "Unverified"),
    ],
)
def test_the_level_is_what_was_shown(delivered: Delivered, summary: Summary, level: str) -> None:
    text = request_text(delivered, summary, (), Evidence())
    levels = ("Verified", "Not tested", "Completed", "Unverified")
    assert [one for one in levels if f"**{one}**" in text] == [level]


def test_what_is_not_proved_is_listed() -> None:
    summary = replace(TESTED, untested=("code",), findings=(FINDING, replace(FINDING, fate="fixed")))
    text = request_text(OFFERED, summary, (), Evidence())
    for said in ("`test: 1 failed`", "`doc: conflicts`", "`code`", "`` minor: a.py: rename `it` ``"):
        assert text.count(said) == 1


def test_long_lists_are_cut_and_say_so() -> None:
    files = [ChangedFile(f"{number}.py", "A", 1, 0) for number in range(60)]
    text = request_text(DELIVERED, TESTED, files, Evidence(tuple(f"t{number}" for number in range(30))))
    assert "and 10 more files" in text
    assert "  - and 10 more\n" in text


def test_a_name_cannot_leave_its_code_span() -> None:
    text = request_text(DELIVERED, TESTED, [ChangedFile("a``b\n@all`.py", "M", None, None)], Evidence())
    assert "- M ``` a``b @all`.py ``` binary" in text
