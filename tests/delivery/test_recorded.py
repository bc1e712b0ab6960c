"""What reaches a user's repository is two rows of the audit log, whatever becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from contracts.base.processes.users import user_name
from multi_agent.cli import cli
from tests.artifacts.builders import git
from tests.delivery.test_pull_requests import BRANCH, settings_for
from tests.delivery.worked import NAME, Worked, work
from tests.support.forge import TOKEN, ForgeServer, Reply, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForgeServer]:
    yield from serving(tmp_path / "served")


@pytest.fixture
def worked(tmp_path: Path, server: ForgeServer) -> Worked:
    return asyncio.run(work(tmp_path, server))


def run(worked: Worked, *words: str, **env: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--data-dir", str(worked.data)], env=env)


def effects(worked: Worked) -> list[dict[str, Any]]:
    rows = json.loads(run(worked, "audit", "list", "--json", "--workflow", NAME).output)
    return [row for row in rows if row["kind"].startswith("effect.")]


def test_what_is_applied_or_refused_is_two_rows_and_an_anchor(worked: Worked) -> None:
    assert run(worked, "apply", NAME, "--repo", str(worked.clone)).exit_code == 0
    assert run(worked, "apply", NAME, "--repo", str(worked.clone), "--branch", "mine").exit_code == 0
    (worked.clone / "slug.py").write_text("x = 'mine'\n")
    assert isinstance(run(worked, "apply", NAME, "--repo", str(worked.clone)).exception, Exception)
    rows = effects(worked)
    ends = ["done", "done", "refused"]
    assert [row["kind"] for row in rows] == [
        kind for end in ends for kind in ("effect.intended", f"effect.{end}")
    ]
    assert [row["facts"]["effect"] for row in rows] == ["apply"] * 2 + ["branch"] * 2 + ["apply"] * 2
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert first["facts"]["effect_id"] == second["facts"]["effect_id"]
        assert (first["who"], first["via"]) == (user_name(), "command line")
        assert first["facts"]["commit"] == worked.commit
        assert first["facts"]["repository"] == str(worked.clone)
    assert (rows[1]["facts"]["written"], rows[3]["facts"]["made"]) == (2, True)
    assert rows[2]["facts"]["branch"] == "mine"
    assert (
        git(worked.data / "artifacts.git", "log", "--format=%s", "refs/multi-agent/audit/heads").split("\n")
        == ["Audit anchor"] * 2
    )
    told = json.loads(run(worked, "audit", "verify", "--json").output)
    assert (told["bad"], told["open_effects"], told["anchors"], told["unanchored"]) == ([], [], 2, 2)


def test_a_request_whose_server_fails_behind_the_push_is_unknown(worked: Worked, server: ForgeServer) -> None:
    settings = settings_for(worked, server, "github")
    assert settings.forges
    env = {"MULTI_AGENT_FORGES": settings.forges, "GH_ENTERPRISE_TOKEN": TOKEN}
    server.answers["/api/v3/repos/acme/tool/pulls"] = Reply(500)
    words = ("pr", NAME, "--repo", str(worked.clone))
    assert run(worked, *words, **env).exception is not None
    server.answers.clear()
    assert run(worked, *words, **env).exit_code == 0
    rows = effects(worked)
    ends = [row["kind"].removeprefix("effect.") for row in rows]
    assert ends == ["intended", "unknown", "intended", "done"]
    assert rows[1]["facts"]["error"] == "Unavailable"
    assert rows[2]["facts"]["branch"] == BRANCH
    assert rows[3]["facts"]["url"].startswith(server.url)
    assert (rows[3]["facts"]["opened"], rows[3]["facts"]["pushed"]) == (True, False)
    assert TOKEN not in json.dumps(rows)
