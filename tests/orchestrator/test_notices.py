"""Ends and questions are found once, whatever else happens."""

from __future__ import annotations

from multi_agent.application.notices import Notice, Notices
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.storage.sql.database import Database
from tests.orchestrator.plans import item
from tests.release.history import Desk


async def test_what_ended_before_is_old_and_what_ends_later_is_new_once(database: Database) -> None:
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await desk.submit("before", item("a", max_retries=0))
    await desk.fail("before", "a", "broken")
    notices = Notices(WorkflowClient(database))
    await notices.begin()
    assert await notices.new() == []
    await desk.submit("later", item("a", max_retries=0))
    await desk.fail("later", "a", "broken")
    [told] = await notices.new()
    assert (told.event, told.workflow_id) == ("workflow.failed", "later")
    assert told.reason
    assert await notices.new() == []


async def test_a_question_is_new_once(database: Database) -> None:
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await desk.submit("asks", item("a", requires_approval=True))
    notices = Notices(WorkflowClient(database))
    await notices.begin()
    assert await notices.new() == [Notice("approval.waiting", "asks", "a")]
    assert await notices.new() == []
    await desk.submit("agent", item("b"), questions=True)
    await desk.finish("agent", "b", status="suspended", suspended={"question": {"text": "which one?"}})
    assert await notices.new() == [Notice("question.waiting", "agent", "b", question="which one?")]
    assert await notices.new() == []
