"""What the end of a run says, from made-up workflows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from artifacts.git.objects import ObjectReader
from artifacts.store.tree_files import CommitFiles
from contracts.documents.baseline import Baseline
from contracts.documents.failure import TestFailure
from contracts.documents.reports import ReviewFinding
from contracts.messages.journal import WorkflowOffered
from contracts.messages.payloads import ReviewSummary, TaskError, TestSummary, Usage
from multi_agent.application.ends.results import offered_work
from multi_agent.application.ends.summary import summarise
from multi_agent.cli.workflows.summary_text import summary_lines
from orchestrator.client.views import WorkflowView
from orchestrator.core.events import Finished
from orchestrator.core.state import WorkflowStatus
from tests.orchestrator.plans import Play, item, outcome, plan, red_tests, refused_review


class NoStore:
    """An artifact store in which every commit has one file of code, and workflows may have a baseline."""

    def __init__(self, baseline: Baseline | None = None) -> None:
        self._baseline = baseline

    async def branch_tip(self, _: str) -> str:
        return str(DONE["result_commit"])

    async def load_exchange(self, *_: str) -> bytes | None:
        return self._baseline.model_dump_json().encode() if self._baseline else None

    async def open_tree(self, commit: str) -> CommitFiles:
        return CommitFiles(commit, {"a.py": commit}, ObjectReader(Path("/nowhere")))


async def _lines(
    play: Play, planning: Usage | None = None, baseline: Baseline | None = None, **header: Any
) -> list[str]:
    view = WorkflowView(play.workflow.header._replace(**header), tuple(play.workflow.tasks.values()))
    store: Any = NoStore(baseline)
    return summary_lines(await summarise(view, store, "/store", planning or Usage()))


def _starting(lines: list[str], name: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in lines if line.split(maxsplit=1)[:1] == [name]]


def _two_tests() -> Play:
    play = Play(
        plan(
            item("code"),
            item("one", "code", role="tester"),
            item("two", "code", role="tester"),
            item("review", "one", "two", role="reviewer", output_artifacts=()),
        )
    )
    play.succeed("code", usage=Usage(model_calls=1, input_tokens=10, output_tokens=5, cost_usd=0.5))
    return play


def _tests(passed: int, failed: int = 0, cover: float | None = None) -> TestSummary:
    return TestSummary(passed=passed, failed=failed, coverage_percent=cover)


DONE: dict[str, Any] = {"status": WorkflowStatus.COMPLETED, "result_commit": "f" * 40, "finished_at": 2.0}


async def test_tests_are_counted_over_the_last_report_of_each_test_task() -> None:
    play = _two_tests()
    play.give(Finished("one", red_tests(play.dispatch("one"))))
    play.succeed("two", verdict="passed", tests=_tests(3, cover=50.0), backend="box")
    play.succeed("one.fix1")
    play.succeed("one.retest1", verdict="passed", tests=_tests(2, cover=90.0), backend="box")
    play.succeed("review", verdict="passed", review=ReviewSummary(approved=True))
    lines = await _lines(play, **DONE)
    assert lines[1] == "Done: build it"
    assert _starting(lines, "tests") == ["5 of 5 passed in 2 reports, 90 % line coverage (sandbox: box)"]
    assert _starting(lines, "untested") == _starting(lines, "findings") == []


async def test_a_cost_without_prices_is_null_and_what_one_agent_did_is_covered_by_its_own_tests() -> None:
    play = Play(plan(item("change", output_artifacts=("./",)), item("check", "change", role="tester")))
    play.succeed("change", usage=Usage(model_calls=1, input_tokens=10))
    play.succeed("check", verdict="passed", tests=_tests(2, cover=12.0), backend="box")
    view = WorkflowView(play.workflow.header, tuple(play.workflow.tasks.values()))
    store: Any = NoStore(None)
    summary = await summarise(view, store, "/store", Usage())
    assert summary.as_json()["cost_usd"] is None
    lines = summary_lines(summary)
    covered = "2 of 2 passed, 12 % line coverage by the tests of this work (sandbox: box)"
    assert _starting(lines, "tests") == [covered]


async def test_planning_counts() -> None:
    play = _two_tests()
    lines = await _lines(play, Usage(model_calls=2, input_tokens=100, output_tokens=50, cost_usd=0.25))
    assert _starting(lines, "model") == ["3 calls (2 to plan), 110 tokens in, 55 out, $0.7500"]
    assert _starting(await _lines(play), "model") == ["1 calls, 10 tokens in, 5 out, $0.5000"]
    cached = Usage(model_calls=1, input_tokens=100, output_tokens=50, cached_input_tokens=80)
    assert _starting(await _lines(play, cached), "model") == [
        "2 calls (1 to plan), 110 tokens in (80 cached), 55 out, $0.5000"
    ]
    stood_in = Usage(model_calls=2, stand_ins={"openai:b": 1})
    assert _starting(await _lines(play, stood_in), "model") == [
        "3 calls (2 to plan, 1 by openai:b instead), 10 tokens in, 5 out, $0.5000"
    ]


async def test_findings_and_what_became_of_them() -> None:
    play = _two_tests()
    for name in ("one", "two"):
        play.succeed(name, verdict="passed", tests=_tests(1))
    play.give(Finished("review", refused_review(play.dispatch("review"))))
    found = "major (a.py): full houses are compared wrongly"
    assert _starting(await _lines(play), "findings") == [f"sent back: {found}"]
    play.succeed("review.fix1")
    for name in ("one.retest1", "two.retest1"):
        play.succeed(name, verdict="passed", tests=_tests(1))
    minor = ReviewSummary(approved=True, findings=(ReviewFinding(severity="minor", message="a name"),))
    again = play.dispatch("review.retest1")
    play.give(Finished("review.retest1", outcome(again, verdict="passed", review=minor)))
    lines = await _lines(play, **DONE)
    assert lines[1] == "Done: build it"
    at = next(number for number, line in enumerate(lines) if "findings" in line)
    assert [line[13:] for line in lines[at : at + 2]] == [f"fixed: {found}", "noted: minor: a name"]


async def test_a_review_that_never_approves_is_a_failure_with_its_findings() -> None:
    review = item("review", "code", role="reviewer", output_artifacts=(), max_cycles=0)
    play = Play(plan(item("code"), review))
    play.succeed("code")
    play.give(Finished("review", refused_review(play.dispatch("review"))))
    lines = await _lines(play)
    assert lines[1] == "Failed: build it"
    assert _starting(lines, "why")[0].startswith("review: the review does not approve: not acceptable; major")
    assert _starting(lines, "findings") == ["open: major (a.py): full houses are compared wrongly"]


async def test_code_that_no_test_looked_at_is_said_in_the_first_line() -> None:
    play = Play(plan(item("code"), item("more", output_artifacts=("b.md",))))
    play.succeed("code")
    play.succeed("more")
    lines = await _lines(play, **DONE)
    assert lines[1] == "Done, UNTESTED: build it"
    assert _starting(lines, "untested") == ["no test looked at the code of code"]
    assert (await _lines(play))[1] == "Merging: build it"


async def test_a_check_that_found_no_test_of_the_work_is_no_look_at_it() -> None:
    play = Play(plan(item("change"), item("check", "change", role="tester")))
    play.succeed("change")
    result = outcome(play.dispatch("check"), verdict="passed", tests=TestSummary(passed=3, untested=True))
    play.give(Finished("check", result))
    lines = await _lines(play, **DONE)
    assert lines[1] == "Done, UNTESTED: build it"
    assert _starting(lines, "untested") == ["no test looked at the code of change"]


async def test_flaky_tests_are_named_each_once() -> None:
    play = Play(plan(item("code"), item("one", "code", role="tester"), item("two", "code", role="tester")))
    play.succeed("code")
    for name in ("one", "two"):
        tests = TestSummary(passed=3, failed=1, flaky=("tests/test_a.py::test_luck",))
        play.give(Finished(name, outcome(play.dispatch(name), verdict="passed", tests=tests)))
    said = " ".join(" ".join(await _lines(play, **DONE)).split())
    assert "flaky failed, and passed when the same was run again: tests/test_a.py::test_luck work" in said


async def test_the_request_is_one_line_and_the_reason_has_file_and_line() -> None:
    failure = TestFailure(kind="not_loaded", test="t.py", error="ImportError: x", path="a.py", line=3)
    play = Play(plan(item("code"), item("test", "code", role="tester", max_cycles=0)))
    play.succeed("code")
    play.give(Finished("test", red_tests(play.dispatch("test"), failure=failure)))
    lines = await _lines(play, request="first\nsecond " + "word " * 100)
    assert lines[1].startswith("Failed: first second word word")
    assert len(lines[1]) <= 110
    assert _starting(lines, "why") == ["test: the tests could not be loaded: t.py: ImportError: x (a.py:3)"]


async def test_the_first_line_says_when_the_repositorys_tests_cannot_run() -> None:
    known: dict[str, Any] = {"tree": "a" * 40, "environment": "b" * 64, "command": "pytest"}
    cannot = Baseline(**known, state="cannot_run", exit_code=4, error="no module x")
    ran = Baseline(**known, state="ran", counted=True, found=2, passed=1, failed=1)
    play = Play(plan(item("code")))
    play.succeed("code")
    header: dict[str, Any] = {
        "status": WorkflowStatus.COMPLETED,
        "base_commit": "c" * 40,
        "result_commit": "f" * 40,
    }
    lines = await _lines(play, baseline=cannot, **header)
    assert lines[1] == "Done, UNTESTED, the repository's tests cannot run: build it"
    assert any(
        line.startswith("  baseline   before this work: the repository's tests cannot") for line in lines
    )
    lines = await _lines(play, baseline=ran, **header)
    assert lines[1] == "Done, UNTESTED: build it"
    assert "  baseline   before this work: 1 passed, 1 failed, 0 skipped; 100 % ran" in "\n".join(lines)
    assert "baseline" not in "\n".join(await _lines(play, baseline=cannot, **header | {"base_commit": None}))


async def test_an_environment_at_fault_is_said_in_the_first_line_with_what_to_do() -> None:
    play = Play(plan(item("code"), item("test", "code", role="tester")))
    play.succeed("code")
    play.give(Finished("test", red_tests(play.dispatch("test"))))
    said = "the environment is at fault: no database\non port 5432"
    error = TaskError(code="environment", message=said, retryable=False)
    play.give(Finished("test.fix1", outcome(play.dispatch("test.fix1"), status="failed", error=error)))
    assert play.workflow.header.status is WorkflowStatus.FAILED, "nothing is tried again"
    lines = await _lines(play)
    assert lines[1] == "Failed: the environment is at fault: no database on port 5432"
    assert _starting(lines, "request") == ["build it"]
    assert _starting(lines, "mend")[0].startswith("it    no change of the code helps: give the repository")


async def test_what_waits_for_a_person_says_how_long_it_took_and_what_there_is() -> None:
    play = Play(plan(item("code"), item("test", "code", role="tester", requires_approval=True)))
    play.succeed("code")
    submitted = time.time() - 60
    view = WorkflowView(
        play.workflow.header._replace(created_at=submitted), tuple(play.workflow.tasks.values())
    )
    store: Any = NoStore(None)
    found = (await summarise(view, store, "/store", Usage())).as_json()
    assert (found["status"], found["files"], found["untested"]) == ("running", ("a.py",), ())
    assert 60 <= found["seconds"] < 600


class Offering:
    """What is offered of a workflow, as its journal says."""

    async def offered(self, _: str) -> WorkflowOffered:
        return WorkflowOffered("f" * 40, ())


async def test_what_is_unfinished_is_said_to_be_in_what_is_offered() -> None:
    play = Play(plan(item("code", max_retries=0), item("test", "code", role="tester")))
    error = TaskError(code="timeout", message="the attempt took longer than 600 s")
    result = outcome(play.dispatch("code"), status="failed", error=error, commit="f" * 40)
    play.give(Finished("code", result))
    view = WorkflowView(play.workflow.header, tuple(play.workflow.tasks.values()))
    client: Any = Offering()
    offered = await offered_work(client, view)
    assert offered is not None
    assert offered.against[0] == f"code: {error.message}; its work is unfinished, as its last step left it"
