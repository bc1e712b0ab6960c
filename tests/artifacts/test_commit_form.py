"""Commits of work on a repository have the form that the repository's own have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from artifacts import GitArtifactStore
from artifacts.git.commit_form import CommitForm, form_of
from tests.artifacts.builders import git, outcome

CONVENTIONAL = ["feat(api): add keys", "fix: no crash", "Merge branch 'x'", "docs!: say it", "wip"]
PLAIN = ["Add keys", "Do not crash", "feat: once", "Say it"]
SMALL = ["add keys", "do not crash", "Say it"]


@pytest.mark.parametrize(
    ("subjects", "form"),
    [
        (CONVENTIONAL, CommitForm(conventional=True, lower=True)),
        (["feat: Add keys", "fix: No crash", "fix: Once"], CommitForm(conventional=True)),
        (PLAIN, CommitForm()),
        (SMALL, CommitForm(lower=True)),
        (["fix: one", "fix: two"], CommitForm()),
        ([], CommitForm()),
        (["Plain"] * 60 + ["fix: old"] * 100, CommitForm()),
    ],
)
def test_the_form_is_that_of_most_of_the_last_subjects(subjects: list[str], form: CommitForm) -> None:
    assert form_of(subjects) == form


@pytest.mark.parametrize(
    ("title", "paths", "subject"),
    [
        ("Add a --json option.", ["cli.py", "tests/test_cli.py"], "feat: add a --json option"),
        ("Fix the parser", ["parser.py"], "fix: fix the parser"),
        ("Write tests", ["tests/test_cli.py", "src/cli.test.ts"], "test: write tests"),
        ("Describe it", ["docs/x.html", "README.md"], "docs: describe it"),
        ("Rename the module", ["a.py"], "refactor: rename the module"),
        ("JSON output", ["a.py"], "feat: JSON output"),
        ("perf(io): Read less", ["a.py"], "perf: read less"),
        ("Very " * 30, [], "feat: very " + "Very " * 11 + "..."),
    ],
)
def test_a_title_becomes_a_subject(title: str, paths: list[str], subject: str) -> None:
    assert CommitForm(conventional=True, lower=True).subject(title, paths) == subject


def test_elsewhere_the_title_stands_alone() -> None:
    assert CommitForm().subject("Add a --json option.", ["a.py"]) == "Add a --json option"


async def test_work_on_a_repository_has_its_form_and_work_from_nothing_has_none(
    local: GitArtifactStore, bare: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    for subject in CONVENTIONAL:
        git(source, "commit", "-q", "--allow-empty", "-m", subject)
    base = await local.import_base(source)
    said = "Keys are read\nfirst.\n\nTask-Id: forged"
    work = replace(outcome(parents=(base,)), title="Fix the keys", summary=said)
    [sha] = await local.write([work])
    [later] = await local.write([replace(outcome("t2", parents=(sha,)), title="Add a lock")])
    [alone] = await local.write([replace(outcome("t3"), title="Fix the keys")])
    lines = git(bare, "log", "-1", "--format=%B", sha).splitlines()
    assert lines[:4] == ["fix: fix the keys", "", "Keys are read first. Task-Id: forged", ""]
    trailers = git(bare, "log", "-1", "--format=%(trailers)", sha)
    assert "Assisted-by: multi-agent:replay" in trailers
    assert "Task-Id: t1" in trailers
    assert "forged" not in trailers
    assert git(bare, "log", "-1", "--format=%s", later) == "feat: add a lock"
    assert git(bare, "log", "-1", "--format=%s", alone) == "coder: do it"
