"""What the documentation says can be typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contracts.documents.repository_settings import SETTINGS_FILES
from tests.project.documented import ROOT, Command, commands_of, complaint, documented_commands
from tests.project.test_repository import repository_files

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCE = re.compile(r"`([a-z0-9_./-]+\.(?:py|mjs|c|toml|txt))`")
FOLDER = re.compile(
    r"`((?:agents|artifacts|benchmarks|contracts|docs|migrations|multi_agent|orchestrator|planner_service"
    r"|sandbox_runner|scripts|tests)/[\w/]*)`"
)
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("command", documented_commands(), ids=str)
def test_a_documented_command_exists(command: Command) -> None:
    assert complaint(command.words) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("make tset", "no target tset"),
        ("multi-agent rum x", "no command rum"),
        ("multi-agent run --warp 9 x", "--warp"),
        ("multi-agent run --workers many x", "--workers"),
        ("multi-agent worker x", "too many words"),
        ("python -m contracts.no_such_module", "no module contracts.no_such_module"),
        ("python -m contracts.schema.files --wirte", "--wirte"),
        ("cd /tmp && REDIS_URL=x .venv/bin/multi-agent run --warp 9 2>/dev/null | cat", "--warp"),
    ],
)
def test_what_does_not_exist_is_found(line: str, problem: str) -> None:
    complaints = [complaint(words) or "" for words in commands_of(f"```sh\n{line}  # a remark\n```\n")]
    assert any(problem in text for text in complaints), complaints


def test_what_exists_is_left_alone() -> None:
    block = '```sh\nmulti-agent run "a | b > c" --workers 3 --agents m\n```\n'
    text = f"{block} and `make test`, `multi-agent db upgrade`"
    found = list(commands_of(text))
    assert len(found) == 3
    assert [complaint(words) for words in found] == [None, None, None]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = [link for link in LINK.findall(path.read_text("utf-8")) if not (path.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_and_folders_that_are_named_exist(path: Path) -> None:
    """A source file may be named by the end of its path, a folder only by its whole path."""
    text = path.read_text("utf-8")
    sources = [f"/{file.relative_to(ROOT).as_posix()}" for file in repository_files()]
    named = set(SOURCE.findall(text)) - {
        *SETTINGS_FILES,
        "tox.toml",
        "approvals.toml",
        "other.toml",
    }  # those are a user's
    missing = {name for name in named if not any(one.endswith(f"/{name}") for one in sources)}
    missing |= {name for name in FOLDER.findall(text) if not (ROOT / name).is_dir()}
    assert not missing, "say what it is called now"
