"""Ten tests that are wrong each in its way: right code stays, and what corrects a test is what was asked.

The requests, the code, what was contested and what was decided are those of a model at a local endpoint,
which saw nothing but its prompts, one case a workflow. The wrong tests were planted. Here they share a
repository.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from agents.roles.debugger import DebuggerAgent
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.task import Task
from contracts.documents.reports import TestReport
from tests.agents.over_trees import OverTrees
from tests.agents.support import ScriptedModel, TaskMaker
from tests.agents.test_repository_work import step

RECORDED: Final = Path(__file__).parent / "trajectories" / "wrong_tests.json"
CASES: Final[list[dict[str, str]]] = json.loads(RECORDED.read_text())
BASE: Final = {case["path"]: case["base"].encode() for case in CASES}
CODE: Final = {case["path"]: case["code"].encode() for case in CASES}
CONTESTED: Final = [case["test"] for case in CASES]


def sources(kind: str) -> dict[str, bytes]:
    """The files with tests, "wrong" or "amended"."""
    return {case["test"].partition("::")[0]: case[kind].encode() for case in CASES}


def made(
    over: OverTrees,
    model: ScriptedModel,
    files: Mapping[str, bytes],
    start: Mapping[str, bytes],
    report: TestReport | None = None,
    **fields: Any,
) -> Task:
    """A task over right code, with these tests."""
    found = {"test": report.model_dump(mode="json")} if report else {}
    task = TaskMaker(model)(base=BaseTree({**CODE, **files}, found), cycle=1, **fields)
    return over.give(task, start)


async def judged(over: OverTrees, files: Mapping[str, bytes], start: Mapping[str, bytes]) -> TestReport:
    """What the tests say of the right code."""
    criteria = {"tests": [{"cmd": "pytest tests"}]}
    task = made(over, ScriptedModel(), files, start, role="tester", acceptance_criteria=criteria)
    report = (await TesterAgent().run(task)).report
    assert isinstance(report, TestReport)
    return report


async def contested(
    over: OverTrees, case: dict[str, str], report: TestReport, start: dict[str, bytes]
) -> bool:
    """Whether the test that a fix contests, and changes nothing for, was there before."""
    model = ScriptedModel(step(("contest", {"tests": [case["test"]], "reason": case["reason"]})))
    task = made(over, model, sources("wrong"), start, report, role="debugger", dependencies=["test"])
    result = await DebuggerAgent().run(task)
    assert case["test"] in model.requests[0].messages[0].text
    assert result.contested is not None
    assert (result.files, result.contested.tests) == ({}, (case["test"],))
    return bool(result.contested.of_repository)


async def test_right_code_stays_and_wrong_tests_are_corrected(over_trees: OverTrees) -> None:
    report = await judged(over_trees, sources("wrong"), BASE)
    failed = [case.test_id for case in report.results if case.outcome == "failed"]
    assert sorted(failed) == sorted(CONTESTED)
    assert not any([await contested(over_trees, case, report, BASE) for case in CASES])
    changes = [{"path": path, "content": text.decode()} for path, text in sources("amended").items()]
    model = ScriptedModel(json.dumps({"summary": "by the requests", "files": changes}))
    task = made(
        over_trees,
        model,
        sources("wrong"),
        BASE,
        report,
        role="tester",
        task_id="test.amend1",
        description="\n".join(case["reason"] for case in CASES),
        writable=list(sources("wrong")),
        acceptance_criteria={"tests": [{"cmd": f"pytest {test}"} for test in CONTESTED]},
    )
    # Without the store the base is not known, where each contested test would run by itself, twice.
    result = await TesterAgent().run(replace(task, commits=None))
    assert result.files == {path: text.decode() for path, text in sources("amended").items()}
    assert not [path for path, code in CODE.items() if code.decode() in model.requests[0].messages[0].text]
    assert (await judged(over_trees, sources("amended"), BASE)).passed


async def test_a_person_is_asked_about_a_users_own_tests(over_trees: OverTrees) -> None:
    start = {**BASE, **sources("wrong")}
    failed = [{"test_id": test, "outcome": "failed"} for test in CONTESTED]
    report = TestReport.model_validate({"passed": False, "results": failed})
    assert all([await contested(over_trees, case, report, start) for case in CASES])
