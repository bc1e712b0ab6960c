"""Which actions a rule names: no more than it says to allow them, no less to ask about them."""

from __future__ import annotations

from typing import Any

import pytest

from agents.sdk.permits import facts_of
from agents.tools.patching import Patch
from contracts.documents.approval_policy import ActionFacts, ApprovalPolicy, ApprovalRule, combined

CALLS = ("run", "write", "patch", "task")


def fits(then: str, path: str, wanted: str, command: str = "") -> bool:
    rule = ApprovalRule(name="r", then=then, tools=CALLS, paths=(wanted,))
    return rule.fits(ActionFacts("run" if command else "task", "coder", (path,), command))


@pytest.mark.parametrize(
    ("wanted", "path", "named", "within"),
    [
        ("src/docs/", "src/", True, False),
        ("src/", "src/docs/", True, True),
        ("*.sql", "migrations/", True, False),
        ("**/secret/", "src/", True, False),
        ("/a.py", "src/", False, False),
        ("docs/", "src/", True, False),
        ("/docs/", "src/", False, False),
        ("*", "src/", True, True),
        ("SRC/", "src/app/", True, True),
        ("src/a?/b.py", "SRC/ax/", True, False),
        ("src/x", "src/", True, False),
    ],
)
def test_a_folder_is_asked_about_where_it_may_hold_it_and_allowed_where_it_is_all_of_it(
    wanted: str, path: str, named: bool, within: bool
) -> None:
    assert fits("ask", path, wanted) is fits("deny", path, wanted) is named
    assert fits("allow", path, wanted) is within


@pytest.mark.parametrize("command", ["docs/a;rm${IFS}-rf${IFS}src", "cat docs/a"])
def test_no_rule_about_paths_allows_a_command(command: str) -> None:
    assert not fits("allow", "docs/a", "docs/", command)
    assert fits("ask", "docs/a", "docs/", command)


def diff(*headers: str) -> str:
    return "".join(f"--- {one}\n+++ {one}\n@@ -1 +1 @@\n-a\n+b\n" for one in headers)


@pytest.mark.parametrize("header", [" b/src/x.py", "src/x.py\t2026", "b/src/x.py", "a/src/x.py  "])
def test_a_patch_is_read_by_rules_as_the_tool_reads_it(header: str) -> None:
    asked: dict[str, Any] = {"diff": diff("b/docs/a.md", header)}
    Patch.model_validate(asked)
    facts = facts_of("patch", "coder", asked)
    assert set(facts.paths) == {"docs/a.md", "src/x.py"}
    docs = ApprovalRule(name="docs", then="allow", tools=("patch",), paths=("docs/",))
    src = ApprovalRule(name="src", then="deny", tools=("patch",), paths=("src/",))
    assert ApprovalPolicy(version="1", rules=(docs, src)).rule_for(facts) is src


def test_a_new_file_is_named_alone() -> None:
    text = "--- /dev/null\n+++ b/docs/new.md\n@@ -0,0 +1 @@\n+a\n"
    assert facts_of("patch", "coder", {"diff": text}).paths == ("docs/new.md",)


def test_a_rule_of_a_repository_is_not_taken_for_one_of_the_users() -> None:
    users = ApprovalPolicy(version="1", rules=(ApprovalRule(name="sql", idempotent=True),))
    theirs = ApprovalPolicy(version="2", rules=(ApprovalRule(name="sql"), ApprovalRule(name="other")))
    both = combined(users, theirs)
    assert both is not None
    assert [rule.name for rule in both.rules] == ["sql", "sql.of-repository", "other"]
