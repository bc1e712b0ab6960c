"""An accepted branch that somebody moved: nothing of the workflow is handed out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.base.errors import ArtifactError
from contracts.messages.payloads import Usage
from multi_agent.application.ends.summary import summarise
from multi_agent.application.status import find_workflow
from multi_agent.cli import cli
from multi_agent.facade.orchestrator import Orchestrator
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings
from tests.artifacts.builders import git
from tests.delivery.worked import NAME, Worked, work
from tests.support.forge import ForgeServer, serving

RESULT = f"refs/heads/ai/generated/{NAME}/result"
WAYS = {
    "diff": ("diff", NAME),
    "apply": ("apply", NAME, "--repo", "CLONE"),
    "branch": ("apply", NAME, "--repo", "CLONE", "--branch", "mine"),
    "pull request": ("pr", NAME, "--repo", "CLONE"),
    "list": ("artifacts", NAME),
    "checkout": ("artifacts", NAME, "--checkout", "FOLDER"),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForgeServer]:
    yield from serving(tmp_path / "served")


def moved(worked: Worked, ref: str = RESULT) -> str:
    """Move a branch to the base, as somebody with access to the store may."""
    git(worked.data / "artifacts.git", "update-ref", ref, worked.base)
    return rf"{ref.removeprefix('refs/heads/')} is at {worked.base[:12]}, accepted was {worked.commit[:12]}"


def taken(worked: Worked, way: str) -> None:
    places = {"CLONE": str(worked.clone), "FOLDER": str(worked.folder / "out")}
    words = [places.get(word, word) for word in WAYS[way]]
    cli([*words, "--data-dir", str(worked.data)], standalone_mode=False)


@pytest.mark.parametrize("way", WAYS)
def test_it_is_noticed_before_anything_is_handed_out(tmp_path: Path, server: ForgeServer, way: str) -> None:
    worked = asyncio.run(work(tmp_path, server))
    before = git(worked.clone, "for-each-ref"), git(worked.clone, "status", "--porcelain")
    with pytest.raises(ArtifactError, match=moved(worked)):
        taken(worked, way)
    assert (git(worked.clone, "for-each-ref"), git(worked.clone, "status", "--porcelain")) == before
    assert not (tmp_path / "out").exists()
    assert git(server.bare(), "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]


def test_so_it_is_of_what_a_failed_workflow_offers(tmp_path: Path, server: ForgeServer) -> None:
    worked = asyncio.run(work(tmp_path, server, failed=True))
    why = moved(worked, RESULT.replace("result", "unverified"))
    for way in ("diff", "checkout"):
        with pytest.raises(ArtifactError, match=why):
            taken(worked, way)


def test_a_branch_that_is_gone_is_told(tmp_path: Path, server: ForgeServer) -> None:
    worked = asyncio.run(work(tmp_path, server))
    git(worked.data / "artifacts.git", "update-ref", "-d", RESULT)
    with pytest.raises(ArtifactError, match=f"is at nothing, .*update-ref {RESULT} {worked.commit}"):
        taken(worked, "diff")
    git(worked.data / "artifacts.git", "update-ref", RESULT, worked.commit)
    taken(worked, "diff")


def test_python_and_the_summary_notice_it(tmp_path: Path, server: ForgeServer) -> None:
    worked = asyncio.run(work(tmp_path, server))
    why = moved(worked)
    with Orchestrator(data_dir=worked.data, model="replay") as made, pytest.raises(ArtifactError, match=why):
        made.get_artifacts(NAME)

    async def summed_up() -> None:
        settings = Settings(data_dir=worked.data)
        async with open_client(settings) as client, open_artifacts(settings) as store:
            await summarise(await find_workflow(client, NAME), store, "/store", Usage())

    with pytest.raises(ArtifactError, match=why):
        asyncio.run(summed_up())
