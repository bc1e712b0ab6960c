"""Agents that ask a person: their execution ends, and the next one goes on behind the question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agents import AgentResult, Task
from agents.roles.coder import CoderAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.exchange_log import ExchangeLog
from artifacts import GitArtifactStore
from contracts.base.errors import AgentFailure, InvalidInput
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.suspension import MOST_QUESTIONS, Answered, Question, ResumeFrom, Suspended
from contracts.ports.text_form import in_text
from tests.agents.actors import doing
from tests.agents.over_trees import OverTrees
from tests.agents.owner import Owner, running, worker
from tests.agents.support import ExchangesInMemory, ScriptedModel, TaskMaker, task_request
from tests.agents.test_repository_work import DONE, FILES, MEND, run, step

ASK = step(("ask", {"question": "Which rounding?", "choices": ["half up", "to even"]}))
ASKED = Question(text="Which rounding?", choices=("half up", "to even"))


def resumed(*answers: tuple[Question, str]) -> ResumeFrom:
    return ResumeFrom(answers=tuple(Answered(question=asked, answer=text) for asked, text in answers))


class Attempts:
    """Executions of one coder's task, one after the other, of a model that is never asked twice."""

    def __init__(self, over_trees: OverTrees, *answers: str) -> None:
        self.model = ScriptedModel(*answers)
        self.exchanges = ExchangesInMemory()
        self._make = TaskMaker(self.model, over_trees, self.exchanges)
        self.logs: list[ExchangeLog] = []

    async def __call__(self, resume_from: ResumeFrom | None = None, questions: int | None = 2) -> AgentResult:
        task = self._make(base=BaseTree(FILES), writable=["src/"], attempt=len(self.logs) + 1)
        update = {"questions": questions, "resume_from": resume_from}
        object.__setattr__(task, "request", task.request.model_copy(update=update))
        self.logs.append(task.exchanges)
        assert task.workplace is not None
        async with task.workplace:
            return await CoderAgent().run(task)

    def shown(self) -> str:
        """The last thing the model was shown."""
        return in_text(self.model.requests[-1]).messages[-1].text


async def test_it_goes_on_behind_the_question_with_nothing_repeated(over_trees: OverTrees) -> None:
    count = run("echo once >> src/count.txt")
    attempts = Attempts(over_trees, count, MEND, ASK, run("cat src/count.txt"), DONE)
    with pytest.raises(Suspended) as caught:
        await attempts()
    assert caught.value.suspension.question == ASKED
    with pytest.raises(Suspended):
        await attempts()  # a worker that died before it could report is followed by another
    result = await attempts(resumed((ASKED, "to even")))
    mended = b"def double(x):\r\n    return x + x\r\n"
    assert result.files == {"src/app.py": mended, "src/count.txt": b"once\n"}
    assert [log.usage.model_calls for log in attempts.logs] == [3, 0, 2]
    turns = [message.text for message in in_text(attempts.model.requests[3]).messages]
    assert "The person answers:\nto even" in turns[-1]
    assert "once" in attempts.shown()


async def test_where_nobody_can_be_asked_it_decides_itself(over_trees: OverTrees) -> None:
    attempts = Attempts(over_trees, MEND, ASK, DONE)
    await attempts(questions=None)
    request = attempts.model.requests[0]
    assert "- Nobody can be asked. Where the request leaves something open, decide" in request.system
    assert "ask" not in {tool.name for tool in request.tools}
    assert f"Nobody can be asked, or all {MOST_QUESTIONS} questions are asked. Decide" in attempts.shown()


async def test_where_all_questions_are_asked_it_decides_itself(over_trees: OverTrees) -> None:
    attempts = Attempts(over_trees, MEND, ASK, DONE)
    await attempts(resumed((Question(text="Which name?"), "twice")), questions=0)
    assert "- Nobody can be asked." not in attempts.model.requests[0].system
    assert f"Nobody can be asked, or all {MOST_QUESTIONS} questions are asked. Decide" in attempts.shown()


async def test_an_answered_question_is_not_asked_again_and_another_is(over_trees: OverTrees) -> None:
    other = step(("ask", {"question": "Which name?"}))
    attempts = Attempts(over_trees, ASK, ASK, other, MEND, DONE)
    with pytest.raises(Suspended):
        await attempts()
    first = (ASKED, "to even")
    with pytest.raises(Suspended) as caught:
        await attempts(resumed(first))
    assert caught.value.suspension.question == Question(text="Which name?")
    assert (await attempts(resumed(first, (Question(text="Which name?"), "twice")))).summary == "mended"
    assert [log.usage.model_calls for log in attempts.logs] == [1, 2, 2]


async def test_a_question_beside_other_calls_is_refused(over_trees: OverTrees) -> None:
    both = step(("ask", {"question": "Which?"}), ("read", {"path": "src/app.py"}))
    attempts = Attempts(over_trees, both, MEND, DONE)
    await attempts()
    shown = in_text(attempts.model.requests[1]).messages[-1].text
    assert "ask:\n```\nrefused: it must be the only call of its step" in shown


async def test_it_is_refused_where_what_was_done_would_be_lost(over_trees: OverTrees) -> None:
    large = run("for name in large more; do head -c 40000000 /dev/zero > src/$name.bin; done; true")
    attempts = Attempts(over_trees, large, ASK, run("rm -f src/*.bin"), MEND, DONE)
    await attempts()
    shown = in_text(attempts.model.requests[2]).messages[-1].text
    assert "refused: nobody can be asked now, as what was changed cannot be kept: " in shown


async def asks(task: Task) -> AgentResult:
    text = await task.ask("Write it")
    try:
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(task.ask_person("Which rounding?", ["half up", "to even"]))
    except Exception as error:
        raise AgentFailure("a question is no failure") from error
    chosen = asked.result()
    if chosen == "fail":
        raise AgentFailure("it cannot be done so")
    return AgentResult(files={"out.py": f"{text} {chosen}\n"}, summary="done")


async def outcomes(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, model: ScriptedModel, answers: Sequence[str | None]
) -> list[Any]:
    """The outcome of each attempt of an agent of one's own; what None answers is still asked."""
    found = []
    async with running(worker(bus, store, doing(asks), model=model)):
        for number, given in enumerate(answers, 1):
            request = task_request(dispatch_id=f"d{number}", attempt=number, writable=["out.py"])
            resume_from = resumed((ASKED, given)) if given else None
            await owner.dispatch(request.model_copy(update={"questions": 1, "resume_from": resume_from}))
            [event] = await owner.outcomes(1)
            while event.data.dispatch_id != f"d{number}":  # outcomes are sent again until they are heard
                [event] = await owner.outcomes(1)
            found.append(event.data)
    return found


async def test_an_agent_of_ones_own_asks_too(bus: MemoryBus, owner: Owner, store: GitArtifactStore) -> None:
    first, second = await outcomes(bus, owner, store, ScriptedModel("x"), [None, "to even"])
    assert (first.status, first.commit, first.error) == ("suspended", None, None)
    assert first.suspended.question == ASKED
    assert (first.usage.model_calls, second.usage.model_calls) == (1, 0)
    assert (await store.read_tree(second.commit))["out.py"] == b"x to even\n"


async def test_whoever_tries_again_is_told_what_was_answered(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    model = ScriptedModel("x", "y")
    await outcomes(bus, owner, store, model, [None, "fail", "to even"])
    assert model.requests[1].system.endswith(
        "- attempt 2: it cannot be done so; a person was asked 'Which rounding?' and answered 'fail'\n"
    )


async def test_a_question_that_cannot_be_asked_is_refused_by_name() -> None:
    for text, choices, named in (("", (), "text"), ("x", ("",), "choices"), ("x" * 5_000, (), "text")):
        with pytest.raises(InvalidInput, match=f"question: {named}"):
            await TaskMaker()().ask_person(text, choices)
