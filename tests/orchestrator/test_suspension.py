"""A task whose agent asks a person: it waits outside its slot, and goes on with exactly the answer."""

from __future__ import annotations

import pytest

from contracts.base.errors import InvalidInput
from contracts.messages.events import decode
from contracts.messages.journal import TaskAnswered, TaskSuspended
from contracts.messages.payloads import TaskRequest, Usage
from contracts.messages.suspension import MOST_QUESTIONS, Answered, Question, Suspension
from multi_agent.application.decisions import answer, pending_question
from multi_agent.application.status import overview
from orchestrator.core.decision import Decision
from orchestrator.core.events import AnswerQuestion, Cancel, Finished, Lost, Overdue, Retry
from orchestrator.core.suspension import question_hash
from orchestrator.scheduling.messages import request_message
from orchestrator.storage.sql.database import Database
from tests.orchestrator.plans import WORKFLOW, Play, item, outcome, plan
from tests.release.history import Desk

WHICH = Question(text="Round half up or to even?", choices=("half up", "to even"))
USED = Usage(model_calls=2, cost_usd=0.5)


def asking(play: Play, question: Question = WHICH, task_id: str = "a") -> Decision:
    """Dispatch a task, whose execution ends with this question."""
    dispatch_id = play.dispatch(task_id)
    suspended = outcome(
        dispatch_id, status="suspended", suspended=Suspension(question=question), usage=USED, seconds=3.0
    )
    return play.give(Finished(task_id, suspended))


def answered(play: Play, text: str = "to even", wanted: str | None = None, task_id: str = "a") -> Decision:
    asked = wanted or question_hash(WORKFLOW, play.workflow.tasks[task_id])
    return play.give(AnswerQuestion(task_id, asked, text, "me"))


def request_of(play: Play, task_id: str = "a") -> TaskRequest:
    """What a worker reads of the task that is dispatched."""
    data = decode(request_message(play.workflow.header, play.workflow.tasks[task_id]).payload).data
    assert isinstance(data, TaskRequest)
    return data


@pytest.fixture
def play() -> Play:
    return Play(plan(item("a", max_retries=0), item("b", "a")), questions=True)


def test_a_question_uses_no_retry_and_settles_what_was_used(play: Play) -> None:
    decision = asking(play)
    task = play.workflow.tasks["a"]
    assert play.statuses == {"a": "waiting_answer", "b": "waiting"}
    assert (task.failures, task.attempt, task.dispatch_id) == (0, 1, None)
    assert (task.usage, task.seconds) == (USED, 3.0)
    assert decision.journal == (TaskSuspended("a", 1, WHICH.text, WHICH.choices),)
    assert play.workflow.header.open_tasks == 2
    assert decision.header is None


def test_the_next_dispatch_goes_on_with_the_answer(play: Play) -> None:
    asking(play)
    decision = answered(play)
    assert decision.journal == (TaskAnswered("a", "me", WHICH.text, "to even"),)
    play.dispatch("a")
    request = request_of(play)
    assert request.resume_from is not None
    assert request.resume_from.answers == (Answered(question=WHICH, answer="to even"),)
    assert (request.attempt, request.questions) == (2, MOST_QUESTIONS - 1)
    assert request_of(_nobody_asked()).questions is None


def _nobody_asked() -> Play:
    play = Play(plan(item("a")))
    play.dispatch("a")
    return play


def test_an_answer_is_for_exactly_what_is_asked_and_used_once(play: Play) -> None:
    assert answered(play, wanted="0" * 64).refused == "task a asks nothing"
    asking(play)
    first = question_hash(WORKFLOW, play.workflow.tasks["a"])
    assert "look at it again" in str(answered(play, wanted="0" * 64).refused)
    assert answered(play).refused is None
    assert answered(play, wanted=first).refused == "task a asks nothing"
    asking(play, Question(text="And the sign?"))
    assert "look at it again" in str(answered(play, wanted=first).refused)


def test_nothing_that_happens_to_its_last_dispatch_matters_to_a_suspended_task(play: Play) -> None:
    asking(play)
    [dispatch_id] = play.dispatched
    for event in (
        Finished("a", outcome(dispatch_id)),
        Lost("a", dispatch_id, "w1"),
        Overdue("a", dispatch_id),
    ):
        assert play.give(event).refused == "task is waiting_answer"


@pytest.mark.parametrize("allowed", [False, True])
def test_a_question_that_nobody_may_be_asked_fails_the_attempt(allowed: bool) -> None:
    play = Play(plan(item("a", max_retries=0)), questions=allowed)
    for number in range(MOST_QUESTIONS if allowed else 0):
        asking(play, Question(text=f"question {number}?"))
        answered(play)
    asking(play)
    task = play.workflow.tasks["a"]
    assert (task.status, task.failures, task.error and task.error.code) == ("failed", 1, "question_refused")


def test_what_was_answered_is_not_asked_again(play: Play) -> None:
    asking(play)
    answered(play)
    asking(play)
    error = play.workflow.tasks["a"].error
    assert error is not None
    assert error.message == f"it asks what was answered already: {WHICH.text}"


def test_cancelling_ends_it_and_a_retry_asks_again(play: Play) -> None:
    asking(play)
    assert play.give(Cancel("me")).refused is None
    assert play.statuses == {"a": "cancelled", "b": "cancelled"}
    assert answered(play, wanted="0" * 64).refused == "task a asks nothing"
    play.give(Retry(None, "me"))
    asking(play)
    assert play.status("a") == "waiting_answer"


async def test_it_is_stored_found_and_answered(database: Database) -> None:
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await desk.submit("asks", item("a"), item("b"), questions=True)
    asked = Suspension(question=WHICH).model_dump()
    await desk.finish("asks", "a", status="suspended", suspended=asked)
    view = await desk.client.workflow("asks")
    assert view is not None
    assert (view.header.questions, view.stands_still) == (True, False)
    [found] = (await overview(desk.client, 10, served=True)).questions
    assert (found.workflow_id, found.task_id, found.question) == ("asks", "a", WHICH)
    with pytest.raises(InvalidInput, match="tasks that wait for an answer: asks a; name one of them"):
        await pending_question(desk.client, "ks", "b")
    for wrong in ("", "asks", "x" * 20_001):
        with pytest.raises(InvalidInput):
            await answer(desk.client, found, wrong, "me")
    command_id = await desk.client.answer("asks", "a", found.action_hash, "to even", "me")
    assert await desk.apply_commands() == [command_id]
    stored = await desk.store.load("asks")
    assert stored is not None
    task = stored.tasks["a"]
    given = (Answered(question=WHICH, answer="to even"),)
    assert (task.status, task.question, task.answers) == ("dispatched", None, given)
    with pytest.raises(InvalidInput, match="tasks that wait for an answer: none"):
        await pending_question(desk.client, None, None)
