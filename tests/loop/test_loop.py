"""A loop over a workspace: how it ends, what it shows, and what a successor repeats: nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.loop.conversation import Conversation
from agents.loop.loop import Assignment, LoopLimits
from agents.loop.record import Ending, StepRecord
from agents.loop.step import ModelStep
from contracts.base.errors import AgentFailure
from contracts.messages.journal import TaskDispatched
from contracts.ports.content import TextBlock, ThinkingBlock, ToolCall, ToolResult
from contracts.ports.model import ModelRequest
from contracts.ports.text_form import in_text
from multi_agent.telemetry.tracing.journal_spans import JournalFact
from multi_agent.telemetry.tracing.stored_calls import Stored
from multi_agent.telemetry.tracing.trace import TaskFacts, build_trace
from tests.agents.support import ExchangesInMemory
from tests.loop.conftest import OpenAt, Surround

WORK = Assignment("coder.step", "You work in steps.", "Double the second line of a.txt.")


def step(*calls: tuple[str, dict[str, Any]], thought: str = "so") -> str:
    named = [{"tool": tool, "arguments": arguments} for tool, arguments in calls]
    return json.dumps({"thought": thought, "calls": named})


def turns_of(request: ModelRequest) -> list[str]:
    """What a model is shown that is told of tools in words."""
    return [message.text for message in in_text(request).messages]


READ = step(("read", {"path": "a.txt"}))
EDIT = step(("edit", {"path": "a.txt", "old": "two\n", "new": "two\ntwo\n"}))
RUN = step(("run", {"command": "cat a.txt >> log; wc -l < log"}))
DONE = step(("finish", {"summary": "doubled"}))


async def content_of(open_at: OpenAt, tree: str, path: str) -> bytes:
    return await (await open_at(tree)).read(path)


async def test_it_reads_edits_runs_and_ends_with_a_tree(around: Surround, open_at: OpenAt) -> None:
    place = around(READ, EDIT, RUN, DONE)
    loop, log = place.loop()
    assert await loop.run(WORK) == Ending("finished", "doubled", 4)
    assert await content_of(open_at, loop.tree, "a.txt") == b"one\ntwo\ntwo\n"
    assert await content_of(open_at, loop.tree, "log") == b"one\ntwo\ntwo\n"
    assert log.usage.model_calls == 4
    turns = turns_of(place.model.requests[-1])
    assert turns[0] == f"{WORK.text}\n\nNo step of 60 is done. 60 left."
    assert turns[2].startswith("Step 1 of 60 is done. 59 left.\n\nread:\n```\na.txt, 2 lines\n")
    assert "run:\n```\nexit code 0\n" in turns[6]
    for earlier, later in zip(place.model.requests, place.model.requests[1:], strict=False):
        assert later.messages[: len(earlier.messages)] == earlier.messages, "services cache what is the same"


async def test_what_it_keeps_says_when_models_and_tools_were_called(around: Surround) -> None:
    store = ExchangesInMemory()
    loop, log = around(READ, EDIT, RUN, DONE, store=store).loop()
    await loop.run(WORK)
    facts = [JournalFact(1, 1.0, "task.dispatched", TaskDispatched("t1", 1, "d1"))]
    kept = [Stored("t1", key, content) for (_, _, key), content in store.kept.items()]
    found = build_trace("w1", facts, {"t1": TaskFacts("coder", log.usage)}, kept)
    assert found.problems == ()
    calls = [span for span in found.spans if span.name in {"chat", "tool.call", "checkpoint.save"}]
    said = [str(span.attributes.get("gen_ai.tool.name", span.name)) for span in calls]
    assert said == [
        *("chat", "read", "checkpoint.save"),
        *("chat", "edit", "checkpoint.save"),
        *("chat", "run", "checkpoint.save"),
        "chat",
    ]
    ends = [(span.start, span.end) for span in calls]
    assert sorted(ends) == ends


class Killed(BaseException):
    pass


class Mortal(ExchangesInMemory):
    """Ends the process at a call, before or after it was done."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1
        self.after = False

    async def save_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        await super().save_exchange(workflow_id, task_id, key, content)
        if self.left == 0:
            raise Killed


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("save", range(1, 8))
async def test_killed_at_any_save_a_successor_ends_the_same_and_pays_nothing_twice(
    around: Surround, save: int, after: bool
) -> None:
    """Four answers and three steps are saved, in turn."""
    answers = [READ, EDIT, RUN, DONE]
    expected, _ = around(*answers).loop()
    await expected.run(WORK)
    store = Mortal()
    store.left, store.after = save, after
    first = around(*answers, store=store)
    loop, _ = first.loop()
    with pytest.raises(Killed):
        await loop.run(WORK)
    answered = len(first.model.requests) - (0 if save % 2 == 0 or after else 1)
    steps = [content for (_, _, key), content in store.kept.items() if key.startswith("step:")]
    durable = ["", *(StepRecord.decode(content).tree for content in steps)]
    second = around(*answers[answered:], store=store)
    successor, log = second.loop()
    assert (await successor.run(WORK)).text == "doubled"
    assert successor.tree == expected.tree
    assert log.usage.model_calls == 4 - answered
    assert second.opened == ([durable[-1]] if len(durable) < 4 else []), "the last tree, unless all is known"


async def test_steps_that_cannot_be_used_are_told_and_three_in_a_row_end_it(around: Surround) -> None:
    place = around("I think that", READ, "{}", step(("fly", {})), step(), "{", "{")
    loop, _ = place.loop()
    with pytest.raises(AgentFailure, match="3 answers in a row cannot be used") as failure:
        await loop.run(WORK)
    assert failure.value.code == "invalid_answer"
    turns = turns_of(place.model.requests[-1])
    assert "The answer cannot be used: calls: at least one is needed." in turns[6]
    assert "Call `finish` if the task is done" in turns[2]
    assert "refused: there is no such tool; there are read, search, find, list, edit" in turns[8]


async def test_an_end_beside_other_calls_is_refused(around: Surround) -> None:
    place = around(
        step(("read", {"path": "a.txt"}), ("finish", {"summary": "x"})), step(("finish", {})), DONE
    )
    loop, _ = place.loop()
    assert await loop.run(WORK) == Ending("finished", "doubled", 3)
    turns = turns_of(place.model.requests[-1])
    assert "refused: it must be the only call of its step" in turns[2]
    assert "refused: summary: Field required" in turns[4]


async def test_a_model_that_repeats_itself_is_ended(around: Surround) -> None:
    loop, _ = around(*[step(("search", {"pattern": "nowhere"}))] * 3).loop()
    with pytest.raises(AgentFailure, match="the same step was taken 3 times"):
        await loop.run(WORK)


async def test_its_limits_are_seen_and_end_it_with_what_there_is(around: Surround, open_at: OpenAt) -> None:
    place = around(EDIT, RUN)
    loop, _ = place.loop(LoopLimits(steps=2))
    assert await loop.run(WORK) == Ending("exhausted", "its 2 steps are used", 2)
    assert await content_of(open_at, loop.tree, "log") == b"one\ntwo\ntwo\n"
    assert "Step 1 of 2 is done. 1 left: come to an end." in turns_of(place.model.requests[-1])[-1]
    loop, _ = around(READ, READ).loop(LoopLimits(tokens=20))
    assert await loop.run(WORK) == Ending("exhausted", "its 20 tokens are used", 2)


async def test_what_is_too_much_to_keep_is_told_and_can_be_removed(around: Surround, open_at: OpenAt) -> None:
    much = step(("run", {"command": "head -c 40000000 /dev/zero > much"}))
    place = around(EDIT, much, step(("run", {"command": "rm much"})), DONE)
    loop, _ = place.loop()
    assert (await loop.run(WORK)).text == "doubled"
    said = turns_of(place.model.requests[2])[-1]
    assert "would be lost with this sandbox: the workspace's changes: more than 33554432 bytes" in said
    assert "large is much" in said
    assert await content_of(open_at, loop.tree, "a.txt") == b"one\ntwo\ntwo\n"


async def test_giving_up_has_a_reason(around: Surround) -> None:
    loop, _ = around(step(("give_up", {"reason": "a package is missing"}))).loop()
    assert await loop.run(WORK) == Ending("given_up", "a package is missing", 1)
    assert loop.tree == ""


def test_a_long_conversation_is_compacted_seldom_and_keeps_its_end() -> None:
    conversation = Conversation("work", 100, 100_000)
    sizes, changes = [], 0
    before = conversation.messages
    for number in range(100):
        thought, call = ThinkingBlock(f"thought {number}", "signed"), ToolCall("run", "{}", f"c{number}")
        taken = ModelStep((thought, call))
        conversation.add(taken, (f"shown {number}: " + "x" * 5_000,), "")
        sizes.append(sum(message.characters for message in conversation.messages))
        changes += conversation.messages[: len(before)] != before
        before = conversation.messages
    assert max(sizes) <= 100_000
    assert changes <= 12
    assert [type(block) for block in before[1].blocks] == [ToolCall]
    assert [type(block) for block in before[-2].blocks] == [ThinkingBlock, ToolCall]
    [place, result] = before[2].blocks
    assert place == TextBlock("Step 1 of 100 is done. 99 left.")
    left_out = "characters that it showed are left out by now; make the call again if you need them.)"
    assert result == ToolResult("run", f"(5,009 {left_out}", "c0")
    assert before[-1].blocks[1] == ToolResult("run", "shown 99: " + "x" * 5_000, "c99")
