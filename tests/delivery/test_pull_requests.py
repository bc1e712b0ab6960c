"""A workflow's work becomes a pull or merge request, again updates it, and nothing else is ever moved."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from artifacts import open_store
from contracts.base.errors import InvalidInput, NotConfigured, StoreUnavailable
from contracts.messages.payloads import Usage
from multi_agent.application.delivery.delivered import find_delivered
from multi_agent.application.delivery.forges import forge_of
from multi_agent.application.delivery.pull_requests import Proposed, Wanted, propose
from multi_agent.forges.addresses import Project
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings
from tests.artifacts.builders import commit_all, git, outcome
from tests.delivery.worked import NAME, Worked, work
from tests.e2e.conftest import Cli
from tests.support.forge import FORK, PROJECT, TOKEN, ForgeServer, Reply, serving

BRANCH = f"multi-agent/{NAME}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForgeServer]:
    yield from serving(tmp_path / "served")


def settings_for(worked: Worked, server: ForgeServer, kind: str, token: str | None = TOKEN) -> Settings:
    secret = SecretStr(token) if token else None
    hosts = f"{server.host}={kind}"
    return Settings(data_dir=worked.data, forges=hosts, github_enterprise_token=secret, gitlab_token=secret)


async def proposed(
    worked: Worked,
    server: ForgeServer,
    kind: str = "github",
    token: str | None = TOKEN,
    remote: str = "origin",
    branch: str | None = None,
    target: str | None = None,
) -> Proposed:
    settings = settings_for(worked, server, kind, token)
    async with open_client(settings) as client:
        delivered = await find_delivered(client, NAME)
        async with open_artifacts(settings) as store:
            asked = Wanted(worked.clone, remote, branch, target)
            return await propose(settings, client, store, delivered, Usage(), asked)


@pytest.mark.parametrize("kind", ["github", "gitlab"])
async def test_it_is_pushed_opened_and_the_next_time_updated(
    server: ForgeServer, tmp_path: Path, kind: str
) -> None:
    worked = await work(tmp_path, server)
    before = git(worked.clone, "for-each-ref"), (worked.clone / ".git/config").read_bytes()
    first = await proposed(worked, server, kind)
    assert (first.opened, first.pushed, first.draft, first.branch) == (True, True, False, BRANCH)
    assert first.url.startswith(f"{server.url}/acme/tool/")
    assert git(server.bare(), "rev-parse", BRANCH) == worked.commit
    again = await proposed(worked, server, kind)
    assert (again.opened, again.pushed, again.url) == (False, False, first.url)
    [request] = server.requests
    assert request["title"] == "feat: keep umlauts in slugs"
    assert (git(worked.clone, "for-each-ref"), (worked.clone / ".git/config").read_bytes()) == before


@pytest.mark.parametrize(("kind", "field"), [("github", "head"), ("gitlab", "source_branch")])
def test_the_request_of_a_fork_is_none_of_ours(
    server: ForgeServer, kind: Literal["github", "gitlab"], field: str
) -> None:
    settings = Settings(github_enterprise_token=SecretStr(TOKEN), gitlab_token=SecretStr(TOKEN))
    forge = forge_of(settings, Project(kind, server.host, "http", "acme/tool"))
    one = {field: BRANCH, "draft": False, "state": "open"}
    server.requests.append({**one, "number": 1, "project": FORK})
    assert forge.find(BRANCH) is None
    server.requests.append({**one, "number": 2, "project": PROJECT})
    found = forge.find(BRANCH)
    assert found is not None
    assert found.number == 2


async def test_the_text_says_what_is_known_and_nothing_leaves_its_fence(
    server: ForgeServer, tmp_path: Path
) -> None:
    await proposed(await work(tmp_path, server), server)
    text = server.requests[0]["body"]
    assert "- **Verified**" in text
    assert "- 2 of 2 tests passed in 1 report, in the sandbox `bubblewrap`" in text
    assert "- Failed before and pass now:\n  - `tests/test_slug.py::test_umlaut`\n" in text
    assert "- M `slug.py` +1 -1" in text
    assert "2 calls of models, 0 tokens in, 0 out, $0.5000" in text
    assert "git revert -m 1" in text
    outside = re.sub(r"(`{4,})text\n.*?\n\1", "", text, flags=re.DOTALL)
    assert "@everyone" in text
    assert "@everyone" not in outside


@pytest.mark.parametrize("kind", ["github", "gitlab"])
async def test_what_is_not_verified_is_a_draft_and_says_so(
    server: ForgeServer, tmp_path: Path, kind: str
) -> None:
    made = await proposed(await work(tmp_path, server, failed=True), server, kind)
    assert made.draft
    [request] = server.requests
    text = request["body" if kind == "github" else "description"]
    assert "**Unverified**" in text
    assert "- Speaks against it:\n  - `test: " in text


async def test_a_branch_with_other_work_is_never_moved(server: ForgeServer, tmp_path: Path) -> None:
    worked = await work(tmp_path, server)
    git(server.bare(), "branch", BRANCH, "main")
    with pytest.raises(InvalidInput, match="holds other work"):
        await proposed(worked, server)
    await proposed(worked, server, branch="mine")
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", "-b", "mine", str(server.bare()), str(other))
    (other / "theirs.py").write_text("x")
    theirs = commit_all(other, "on top")
    git(other, "push", "-q", "origin", "mine")
    with pytest.raises(InvalidInput, match="holds other work"):
        await proposed(worked, server, branch="mine")
    assert git(server.bare(), "rev-parse", "mine") == theirs
    with pytest.raises(InvalidInput, match="is what the request would be merged into"):
        await proposed(worked, server, branch="main")


async def test_a_branch_of_another_workflow_is_never_moved(server: ForgeServer, tmp_path: Path) -> None:
    worked = await work(tmp_path, server)
    store = open_store(str(worked.data / "artifacts.git"), tmp_path)
    [other] = await store.write([outcome("code", parents=(worked.base,), workflow_id="other")])
    await store.close()
    git(worked.data / "artifacts.git", "push", "-q", str(server.bare()), f"{other}:refs/heads/{BRANCH}")
    with pytest.raises(InvalidInput, match="holds other work"):
        await proposed(worked, server)
    assert git(server.bare(), "rev-parse", BRANCH) == other


async def test_work_that_came_later_moves_the_branch_of_what_was_before(
    server: ForgeServer, tmp_path: Path
) -> None:
    worked = await work(tmp_path, server)
    earlier = git(worked.data / "artifacts.git", "rev-parse", f"{worked.commit}^")
    git(worked.data / "artifacts.git", "push", "-q", str(server.bare()), f"{earlier}:refs/heads/{BRANCH}")
    assert (await proposed(worked, server)).pushed
    assert git(server.bare(), "rev-parse", BRANCH) == worked.commit


def test_no_hook_runs_and_the_token_is_nowhere(server: ForgeServer, tmp_path: Path) -> None:
    worked = asyncio.run(work(tmp_path, server))
    marker = tmp_path / "ran"
    for folder in (worked.clone / ".git", worked.data / "artifacts.git"):
        (folder / "hooks").mkdir(exist_ok=True)
        (folder / "hooks/pre-push").write_text(f"#!/bin/sh\ntouch '{marker}'\n")
        (folder / "hooks/pre-push").chmod(0o755)
    cli, hosts = Cli(tmp_path), f"{server.host}=github"
    cli.env |= {"MULTI_AGENT_FORGES": hosts, "GH_ENTERPRISE_TOKEN": TOKEN, "GIT_TRACE": "2"}
    shown = cli("pr", "--repo", "clone", "--draft")
    assert f"opened {server.url}/acme/tool/pull/1 (a draft, branch {BRANCH})" in shown.stdout
    assert not marker.exists()
    assert TOKEN not in shown.stdout + shown.stderr
    files = (path for path in tmp_path.rglob("*") if path.is_file())
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


async def test_a_wrong_token_a_refusal_and_a_server_that_is_away_are_one_line(
    server: ForgeServer, tmp_path: Path
) -> None:
    worked = await work(tmp_path, server)
    with pytest.raises(NotConfigured, match="set GH_ENTERPRISE_TOKEN to a token that may push"):
        await proposed(worked, server, token=None)
    with pytest.raises(NotConfigured, match="set GH_ENTERPRISE_TOKEN to a token that may") as told:
        await proposed(worked, server, token="wrong-token-0123")
    assert "wrong-token" not in str(told.value)
    server.answers["/api/v3/repos/acme/tool/pulls"] = Reply(422, {"message": "no"})
    with pytest.raises(InvalidInput, match=r"answered 422 \(no\)"):
        await proposed(worked, server)
    git(worked.clone, "remote", "set-url", "origin", f"{server.url}/acme/none.git")
    with pytest.raises(StoreUnavailable, match="the remote cannot be read"):
        await proposed(worked, server, target="main")
    with pytest.raises(InvalidInput, match="has no remote 'upstream'"):
        await proposed(worked, server, remote="upstream")
