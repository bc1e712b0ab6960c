"""Architect and reviewer in a repository: they look around in steps, and what they say of it is checked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.roles.architect import ArchitectAgent
from agents.roles.reviewer import ReviewerAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from contracts.base.errors import AgentFailure
from contracts.documents.reports import Contract
from contracts.ports.text_form import in_text
from tests.agents.over_trees import OverTrees
from tests.agents.support import ScriptedModel, TaskMaker, contract
from tests.agents.test_repository_work import step
from tests.agents.test_shipped import FAILING

BEFORE = {"src/app.py": b"def double(x):\n    return x\n", "gone.txt": b"1\n2\n3\n"}
AFTER = {"src/app.py": b"def double(x):\n    return x + x\n", "src/new.py": b"x = 1\n"}
GOOD = step(("review", {"approved": True, "summary": "good"}))


async def _work(
    over: OverTrees, agent: Any, role: str, *answers: str, **fields: Any
) -> tuple[AgentResult, ScriptedModel]:
    model = ScriptedModel(*answers)
    reports = {"test": FAILING.model_dump(mode="json")}
    task = over.give(TaskMaker(model)(base=BaseTree(AFTER, reports), role=role, **fields), BEFORE)
    assert task.workplace is not None
    async with task.workplace:
        return await agent().run(task), model


def _review(*findings: dict[str, Any], approved: bool = False) -> str:
    full = [{"severity": "major", "message": "wrong", **finding} for finding in findings]
    return step(("review", {"approved": approved, "summary": "no", "findings": full}))


def _last_told(model: ScriptedModel) -> str:
    return in_text(model.requests[-1]).messages[-1].text


async def test_a_reviewer_sees_what_was_changed_and_what_tests_said(over_trees: OverTrees) -> None:
    looks = step(("diff", {"path": "src/app.py"}), ("diff", {"path": "src/app.py", "first": 6}))
    finding = {"path": "src/app.py", "line": 2}
    result, model = await _work(over_trees, ReviewerAgent, "reviewer", looks, _review(finding))
    first = model.requests[0].messages[0].text
    assert "D gone.txt\nM src/app.py\nA src/new.py\n" in first
    assert "test: failed; 1 failed, 1 passed\n  tests/test_a.py::test_two (failed): assert 6 == 4" in first
    told = _last_told(model)
    assert "-    return x\n+    return x + x" in told
    assert "src/new.py" not in told
    assert {tool.name for tool in model.requests[0].tools} == {"read", "diff", "review", "give_up"}
    assert (result.verdict, result.files) == ("failed", {})
    assert result.review is not None
    assert result.review.findings[0].sentence == "major (src/app.py:2): wrong"


@pytest.mark.parametrize(
    ("review", "why"),
    [
        (_review({"path": "src/none.py"}), "findings[0]: there is no file 'src/none.py', nor was there one"),
        (_review({"path": "src/app.py", "line": 3}), "src/app.py has 2 lines, and line 3 is not one"),
        (_review({}, {"line": 3}), "findings[1]: line 3 of which file?"),
        (_review({"severity": "critical"}, approved=True), "approves, and has a critical finding"),
        (_review(), "does not approve, and has no finding"),
        (step(("finish", {"summary": "done"})), "there is no such tool; there are read"),
    ],
)
async def test_a_review_of_what_is_not_there_is_refused(over_trees: OverTrees, review: str, why: str) -> None:
    result, model = await _work(over_trees, ReviewerAgent, "reviewer", review, GOOD)
    assert why in _last_told(model)
    assert result.verdict == "passed"


async def test_a_place_in_a_file_that_is_gone_is_one(over_trees: OverTrees) -> None:
    gone = _review({"path": "gone.txt", "line": 3, "severity": "minor"}, approved=True)
    result, _ = await _work(over_trees, ReviewerAgent, "reviewer", gone)
    assert result.verdict == "passed"


async def test_prose_is_no_review(over_trees: OverTrees) -> None:
    prose = "It is good."
    with pytest.raises(AgentFailure, match=r"3 answers in a row cannot be used: .*`review`"):
        await _work(over_trees, ReviewerAgent, "reviewer", prose, prose, prose)


async def test_an_architect_looks_before_it_gives_its_contract(over_trees: OverTrees) -> None:
    looks = step(("read", {"path": "src/app.py"}))
    broken = step(("contract", {"contract_id": "sma", "interfaces": []}))
    gives = step(("contract", json.loads(contract("test_a"))))
    result, model = await _work(
        over_trees, ArchitectAgent, "architect", looks, broken, gives, writable=["docs/api.json"]
    )
    written = result.files["docs/api.json"]
    assert isinstance(written, str)
    assert Contract.model_validate_json(written) == result.report
    assert "interfaces: Tuple should have at least 1 item" in _last_told(model)
    assert "edit" not in {tool.name for tool in model.requests[0].tools}
