"""What is in the wheel."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.project.documented import ROOT

PACKAGES = (
    "multi_agent",
    "contracts",
    "planner_service",
    "orchestrator",
    "agents",
    "sandbox_runner",
    "artifacts",
    "migrations",
)


@pytest.fixture(scope="module")
def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def source_files() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_holds_every_file_of_the_packages_and_nothing_else(members: set[str]) -> None:
    assert {name for name in members if ".dist-info/" not in name} == source_files()


@pytest.mark.parametrize("package", PACKAGES)
def test_it_is_typed(members: set[str], package: str) -> None:
    assert f"{package}/py.typed" in members


@pytest.mark.parametrize(
    "name",
    [
        "contracts/schema/generated/todo.json",
        "contracts/sample_todo_list.json",
        "contracts/schema/samples/todo.json",
        "planner_service/prompts/system.md",
        "agents/roles/prompts/coder.md",
        "agents/testing/harness/supervise.py",
        "agents/testing/harness/run_pytest.py",
        "agents/testing/harness/baseline_plugin.py",
        "agents/testing/harness/run_node.mjs",
        "agents/testing/harness/node_reporter.mjs",
        "artifacts/git/hardened.gitconfig",
        "migrations/env.py",
        "migrations/versions/r0001_first.py",
        "sandbox_runner/guest/main.py",
        "multi_agent/models/recordings/README.md",
        "multi_agent/embedded/parent_guard.py",
    ],
)
def test_it_holds_what_is_read_at_run_time(members: set[str], name: str) -> None:
    assert name in members
