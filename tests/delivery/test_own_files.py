"""No repository brings along what is the user's own: their rules about approvals, and the data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput
from multi_agent.application.bases import find_base
from multi_agent.settings import load_settings
from tests.artifacts.builders import commit_all, git
from tests.delivery.test_recorded import effects, run
from tests.delivery.worked import NAME, work
from tests.support.forge import ForgeServer, serving

RULES = 'version = "1"\n[[rules]]\nname = "all"\nthen = "allow"\n'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForgeServer]:
    yield from serving(tmp_path / "served")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One that tracks rules where a data folder is by default."""
    folder = tmp_path / "cloned"
    (folder / ".multi_agent").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / ".multi_agent/approvals.toml").write_text(RULES)
    commit_all(folder)
    return folder


def test_a_result_does_not_become_the_users_rules(tmp_path: Path, server: ForgeServer) -> None:
    worked = asyncio.run(work(tmp_path, server))
    (worked.folder / "near").symlink_to(worked.clone)
    for place in ("clone/slug.py", "clone/tests/test_slug.py", "near/slug.py"):
        own = {"MULTI_AGENT_APPROVALS": str(worked.folder / place)}
        for more in ([], ["--branch", "mine"]):
            ended = run(worked, "apply", NAME, "--repo", str(worked.clone), *more, **own)
            assert "which would become your rules or your data" in str(ended.exception)
    assert git(worked.clone, "status", "--porcelain") == ""
    assert git(worked.clone, "branch", "--list", "mine") == ""
    assert effects(worked) == []


async def _found(repository: Path, **settings: Path) -> list[str]:
    said: list[str] = []
    await find_base(load_settings(settings), repository, said.append)
    return said


async def test_no_run_starts_from_a_repository_that_tracks_them(repository: Path, tmp_path: Path) -> None:
    data = repository / ".multi_agent"
    with pytest.raises(InvalidInput) as refused:
        await _found(repository, data_dir=data)
    assert "tracks '.multi_agent/approvals.toml', which would become your rules" in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(InvalidInput):
        await _found(repository, data_dir=tmp_path / "mine", approvals=data / "approvals.toml")
    (tmp_path / "link").symlink_to(data)
    with pytest.raises(InvalidInput):
        await _found(repository, data_dir=tmp_path / "link")


async def test_a_folder_that_nobody_uses_stops_no_run(repository: Path, tmp_path: Path) -> None:
    assert await _found(repository, data_dir=tmp_path / "mine") == []


async def test_a_link_that_leads_to_them_is_tracked_too(repository: Path) -> None:
    git(repository, "mv", ".multi_agent", "kept")
    (repository / ".multi_agent").symlink_to("kept")
    git(repository, "add", ".multi_agent")
    git(repository, "rm", "-q", "--cached", "kept/approvals.toml")
    git(repository, "commit", "-q", "-m", "link")
    with pytest.raises(InvalidInput, match=r"tracks '\.multi_agent'"):
        await _found(repository, data_dir=repository / ".multi_agent")
