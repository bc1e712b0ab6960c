"""What reaches a user's repository by a rule waits for a person, and happens once for each approval."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.base.errors import InvalidInput, WaitsForPerson
from contracts.documents.approval_policy import ApprovalPolicy, ApprovalRule
from multi_agent.application.decisions import approve, pending_approval, reject, waiting_approvals
from multi_agent.application.delivery.delivered import Delivered, find_delivered
from multi_agent.application.delivery.permitted import permitted
from multi_agent.application.waiting import PendingApproval
from multi_agent.cli import cli
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import load_settings
from orchestrator.client.workflow_client import WorkflowClient
from tests.artifacts.builders import git
from tests.delivery.worked import NAME, Worked, work
from tests.support.forge import ForgeServer, serving

HERE = {"repository": "/here", "head": "a" * 40}
RELEASES = ApprovalRule(name="releases", tools=("apply", "pr"), risk="high")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForgeServer]:
    yield from serving(tmp_path / "served")


class Desk:
    """A client of a finished workflow under these rules."""

    def __init__(self, worked: Worked, *rules: ApprovalRule) -> None:
        self._settings = load_settings({"data_dir": worked.data})
        self._policy = ApprovalPolicy(version="1", rules=rules)
        self.effects = 0
        self.commit: str | None = None
        """What is released, where it is not the result."""

    async def release(self, error: Exception | None = None, **target: str) -> str:
        """Try one release; what became of it."""
        async with open_client(self._settings) as client, open_artifacts(self._settings) as store:
            try:
                async with permitted(
                    client.releases, store, await self._delivered(client), "apply", {**HERE, **target}
                ):
                    if error is not None:
                        raise error
                    self.effects += 1
            except WaitsForPerson:
                return "waits"
            except (InvalidInput, OSError) as refused:
                return str(refused)
        return "done"

    async def _delivered(self, client: WorkflowClient) -> Delivered:
        found = await find_delivered(client, NAME)
        header = found.view.header._replace(approvals=self._policy)
        view = type(found.view)(header, found.view.tasks)
        return Delivered(view, found.branch, self.commit or found.commit, found.offered)

    async def waiting(self) -> list[PendingApproval]:
        async with open_client(self._settings) as client:
            return await waiting_approvals(client)

    async def decide(
        self, *, allow: bool = True, person: str = "me", shown: PendingApproval | None = None
    ) -> bool:
        async with open_client(self._settings) as client:
            pending = shown or await pending_approval(client, NAME, "apply")
            if allow:
                result = await approve(client, pending, person)
            else:
                result = await reject(client, pending, person, "not today")
        assert result is not None
        return result.accepted


async def test_a_release_waits_is_approved_and_happens_once(tmp_path: Path, server: ForgeServer) -> None:
    desk = Desk(await work(tmp_path, server), RELEASES)
    assert [await desk.release(), await desk.release()] == ["waits", "waits"]
    [asked] = await desk.waiting()
    assert (asked.task_id, asked.risk, asked.rule) == ("apply", "high", "releases")
    assert asked.action["target"] == HERE
    assert any(line.startswith("+") for line in asked.action["diff"])
    assert [await desk.decide(person=who, shown=asked) for who in ("x", "y")] == [True, False]
    assert [await desk.release(), await desk.release()] == ["done", "waits"]
    [again] = await desk.waiting()
    assert again.action["earlier"]["state"] == "consumed"
    assert again.action_hash != asked.action_hash
    assert desk.effects == 1


async def test_a_moved_tip_needs_another_approval_and_the_old_one_is_void(
    tmp_path: Path, server: ForgeServer
) -> None:
    desk = Desk(await work(tmp_path, server), RELEASES)
    await desk.release()
    await desk.decide()
    assert await desk.release(head="b" * 40) == "waits"
    assert await desk.release() == "waits"
    assert desk.effects == 0


async def test_what_was_refused_by_the_repository_may_be_tried_again_and_a_crash_is_asked_again(
    tmp_path: Path, server: ForgeServer
) -> None:
    desk = Desk(await work(tmp_path, server), RELEASES)
    await desk.release()
    await desk.decide()
    assert await desk.release(InvalidInput("both changed it")) == "both changed it"
    assert await desk.release(OSError("gone")) == "gone"
    assert await desk.release() == "waits"
    [asked] = await desk.waiting()
    assert asked.action["earlier"]["state"] == "unknown"


async def test_a_refusal_is_final_and_a_rule_may_deny(tmp_path: Path, server: ForgeServer) -> None:
    worked = await work(tmp_path, server)
    desk = Desk(worked, RELEASES)
    await desk.release()
    assert await desk.decide(allow=False)
    assert "a person refused exactly this: not today" in await desk.release()
    denied = Desk(worked, ApprovalRule(name="never", then="deny", tools=("apply",)))
    assert "the rule 'never' of the policy denies it" in await denied.release()


async def test_one_that_allows_all_does_not_allow_to_change_the_rules(
    tmp_path: Path, server: ForgeServer
) -> None:
    worked = await work(tmp_path, server)
    desk = Desk(worked, ApprovalRule(name="all", then="allow", tools=("apply", "pr")))
    assert await desk.release() == "done"
    for number, (path, text, ends) in enumerate(
        [
            (".multi-agent.toml", "protected = []\n", "waits"),
            ("pyproject.toml", "[project]\nname = 'x'\n", "done"),
            ("pyproject.toml", "[tool.multi-agent]\ntest = 'true'\n", "waits"),
            (".multi-agent.toml", "nonsense", "waits"),
        ]
    ):
        git(worked.clone, "checkout", "-q", "-B", f"b{number}", worked.base)
        (worked.clone / path).write_text(text)
        git(worked.clone, "add", path)
        git(worked.clone, "commit", "-q", "-m", "rules")
        git(worked.clone, "push", "-q", str(worked.data / "artifacts.git"), f"HEAD:refs/heads/b{number}")
        desk.commit = git(worked.clone, "rev-parse", "HEAD")
        assert await desk.release() == ends, (path, text)
    assert {one.rule for one in await desk.waiting()} == {"policy"}


def test_the_commands_say_what_waits(tmp_path: Path, server: ForgeServer) -> None:
    worked = asyncio.run(work(tmp_path, server))
    listed = CliRunner().invoke(cli, ["approvals", "list", "--data-dir", str(worked.data)])
    assert listed.output == "nothing waits for approval\n"
    asyncio.run(Desk(worked, RELEASES).release())
    found = CliRunner().invoke(cli, ["approvals", "list", "--json", "--data-dir", str(worked.data)])
    [row] = json.loads(found.output)
    assert (row["workflow_id"], row["task_id"], row["risk"]) == (NAME, "apply", "high")
    assert git(worked.clone, "status", "--porcelain") == ""
