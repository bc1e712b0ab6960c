"""Code of a plan that no test looks at."""

from __future__ import annotations

import pytest

from contracts.base.languages import is_code
from contracts.documents.plan_checks import untested_problems
from contracts.documents.untested import untested
from tests.orchestrator.plans import item, plan


def test_code_is_tested_by_what_depends_on_it_at_any_distance() -> None:
    items = [
        item("a"),
        item("b", "a"),
        item("look", "b", role="reviewer", output_artifacts=()),
        item("t", "look", role="tester"),
        item("late", "t"),
        item("beside"),
        item("docs", output_artifacts=("README.md", "docs/a.rst")),
        item("fix", "late", role="debugger"),
    ]
    assert [items[number].task_id for number in untested(items)] == ["late", "beside", "fix"]
    half = plan(item("a"), item("b", "a", role="tester"), item("c"))
    assert [str(one) for one in untested_problems(half)] == [
        "$.items[2]: 'c' writes code and no tester comes after it; add a tester that depends on it"
    ]


@pytest.mark.parametrize("path", ["a.py", "src/a.mjs", "src/", "lib/a.go", "x.sh", "docs/"])
def test_code(path: str) -> None:
    assert is_code(path)


@pytest.mark.parametrize(
    "path",
    ["README.md", "a/b.json", "LICENSE", ".gitignore", "tests/test_a.py", "tests/", "conftest.py", "a.html"],
)
def test_what_is_no_code(path: str) -> None:
    assert not is_code(path)
