"""What operators decide, as every face offers it."""

from __future__ import annotations

import pytest

from contracts.base.errors import InvalidInput
from multi_agent.application.decisions import approve, note_useless_answers, pending_approval
from multi_agent.application.status import find_workflow
from multi_agent.cli.output import print_result
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.commands import ACCEPTED, CommandResult
from orchestrator.core.events import Finished
from orchestrator.storage.sql.database import Database
from orchestrator.storage.store import Store
from tests.agents.support import ExchangesInMemory
from tests.orchestrator.plans import WORKFLOW, Play, failed, item, plan, red_tests
from tests.orchestrator.test_store import saved


async def client_of(database: Database, *names: str) -> WorkflowClient:
    """A client of a database with one workflow, in which these tasks wait for approval."""
    waiting = [item(name, requires_approval=True) for name in names]
    await saved(Store(database), Play(plan(item("free"), *waiting)))
    return WorkflowClient(database)


async def test_the_only_task_that_waits_need_not_be_named(database: Database) -> None:
    client = await client_of(database, "a")
    found = await pending_approval(client, WORKFLOW[:2], None)
    view = await find_workflow(client, WORKFLOW)
    assert (found.workflow_id, found.task_id) == (WORKFLOW, "a")
    assert found.action_hash == view.action_hash("a")


@pytest.mark.parametrize("task", [None, "free", "unknown"])
async def test_what_does_not_wait_is_refused_with_what_does(database: Database, task: str | None) -> None:
    client = await client_of(database, "a", "b")
    with pytest.raises(InvalidInput, match="that wait for approval: a, b; name one of them"):
        await pending_approval(client, WORKFLOW, task)


async def test_an_approval_of_another_action_appends_nothing(database: Database) -> None:
    client = await client_of(database, "a")
    found = await pending_approval(client, WORKFLOW, "a")
    with pytest.raises(InvalidInput, match="look at it again"):
        await approve(client, found, "me", expected_hash="0" * 64)
    assert not await client.has_waiting_commands(WORKFLOW)


async def test_a_queued_workflow_has_nothing_to_decide(database: Database) -> None:
    client = WorkflowClient(database)
    await client.submit(plan(item("a")), workflow_id="queued")
    with pytest.raises(InvalidInput, match="is queued; no orchestrator has created it yet"):
        await pending_approval(client, "queued", None)


async def test_a_command_nobody_applied_has_no_result_and_stays_queued(database: Database) -> None:
    client = await client_of(database, "a")
    command_id = await client.cancel(WORKFLOW, "me")
    assert await client.result(command_id, 0.0) is None
    assert await client.has_waiting_commands(WORKFLOW)


def test_each_result_has_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(ACCEPTED, "w is cancelled")
    print_result(None, "w is cancelled")
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "done: w is cancelled",
        "noted: w is cancelled; it takes effect when an orchestrator runs: multi-agent up",
    ]
    with pytest.raises(InvalidInput, match="task a is over"):
        print_result(CommandResult("task a is over"), "a is allowed")


async def test_only_what_failed_by_its_answers_asks_anew() -> None:
    """Tests that failed get a fix, which is another task; what succeeded or never ran is left alone."""
    play = Play(plan(item("good"), item("bad"), item("tests", role="tester"), item("later", "bad")))
    play.succeed("good")
    play.give(Finished("bad", failed(play.dispatch("bad"), retryable=False)))
    play.give(Finished("tests", red_tests(play.dispatch("tests"))))
    view = WorkflowView(play.workflow.header, tuple(play.workflow.tasks.values()))
    for wanted, expected in ((None, ["bad"]), ("bad", ["bad"]), ("tests", [])):
        exchanges = ExchangesInMemory()
        await note_useless_answers(exchanges, view, wanted)
        noted = [name for name in play.statuses if await exchanges.load_exchange(WORKFLOW, name, "failed:1")]
        assert noted == expected
