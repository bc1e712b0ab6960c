"""A model that calls tools by its service's own means, and the mistakes of such models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.loop.record import Ending
from contracts.base.errors import AgentFailure
from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall, ToolResult
from contracts.ports.model import ModelResponse
from tests.loop.conftest import OpenAt, Surround
from tests.loop.test_loop import DONE, EDIT, RUN, WORK, Killed, Mortal, content_of, turns_of


def call(name: str, call_id: str = "", **arguments: Any) -> ToolCall:
    return ToolCall(name, json.dumps(arguments), call_id)


def answer(*blocks: ContentBlock, end: Any = "") -> ModelResponse:
    return ModelResponse("", "native-1", 10, 5, 0.01, blocks=blocks, end=end)


EDITS = call("edit", path="a.txt", old="two\n", new="two\ntwo\n")
LOGS = call("run", command="cat a.txt >> log; wc -l < log")
FINISH = answer(call("finish", summary="doubled"))
LISTS = (call("list"), call("list", "own-1"))
NATIVE = [answer(call("read", path="a.txt")), answer(EDITS), answer(LOGS), FINISH]


async def test_calls_have_results_by_their_names_and_thoughts_go_back_as_they_were(around: Surround) -> None:
    thought = ThinkingBlock("first the file", '{"by": "its service"}')
    place = around(
        answer(
            thought,
            TextBlock("I look."),
            call("read", "own-1", path="a.txt"),
            call("list"),
            call("list", "own-1"),
        ),
        FINISH,
    )
    loop, _ = place.loop()
    assert await loop.run(WORK) == Ending("finished", "doubled", 2)
    _, said, shown = place.model.requests[1].messages
    assert said.blocks[0] == thought
    named = [block.call_id for block in said.blocks if isinstance(block, ToolCall)]
    assert named == ["own-1", "s0001c003", "s0001c004"]
    assert [block.call_id for block in shown.blocks if isinstance(block, ToolResult)] == named
    assert [tool.name for tool in place.model.requests[0].tools][-2:] == ["finish", "give_up"]


async def test_a_malformed_call_does_not_lose_the_good_ones_next_to_it(
    around: Surround, open_at: OpenAt
) -> None:
    broken = (ToolCall("read", '{"path": "a.t'), ToolCall("read", "[1]"), call("fly"), call("read", pth="x"))
    place = around(answer(broken[0], EDITS, *broken[1:]), FINISH)
    loop, _ = place.loop()
    await loop.run(WORK)
    assert await content_of(open_at, loop.tree, "a.txt") == b"one\ntwo\ntwo\n"
    results = [one.text for one in place.model.requests[1].messages[2].blocks if isinstance(one, ToolResult)]
    assert results[0] == results[2]
    assert results[0].startswith("refused: its arguments are no JSON object; make this call again")
    assert results[1].startswith("a.txt is changed")
    assert results[3].startswith("refused: there is no such tool; there are read, search")
    assert results[4].startswith("refused: path: Field required")


async def test_what_was_cut_off_in_a_call_is_told_and_goes_on(around: Surround, open_at: OpenAt) -> None:
    cut = answer(EDITS, ToolCall("write", '{"path": "b.txt", "content": "lon'), end="length")
    place = around(cut, answer(end="length"), answer(TextBlock("I write {"), end="length"), FINISH)
    loop, _ = place.loop()
    assert (await loop.run(WORK)).text == "doubled"
    assert await content_of(open_at, loop.tree, "a.txt") == b"one\ntwo\ntwo\n"
    turns = turns_of(place.model.requests[-1])
    assert all("cut off at the limit of its length; do less in one answer" in turns[at] for at in (2, 4, 6))
    assert "no JSON object" not in turns[2]


async def test_a_call_that_the_service_could_not_read_is_asked_for_again(around: Surround) -> None:
    place = around(answer(end="malformed"), FINISH)
    assert (await place.loop()[0].run(WORK)).text == "doubled"
    assert "its call of a tool could not be read. Make it again." in turns_of(place.model.requests[1])[-1]


async def test_prose_is_told_once_how_to_end_and_is_an_end_the_second_time(around: Surround) -> None:
    place = around(answer(TextBlock("All is done.")), FINISH)
    assert (await place.loop()[0].run(WORK)).text == "doubled"
    assert "Call `finish` if the task is done, `give_up` if" in turns_of(place.model.requests[1])[-1]
    place = around(answer(EDITS), answer(TextBlock("All is done.")), answer(TextBlock("As I said, it is.")))
    assert await place.loop()[0].run(WORK) == Ending("finished", "As I said, it is.", 3)
    with pytest.raises(AgentFailure, match="3 answers in a row cannot be used"):
        await around(answer(), answer(), answer()).loop()[0].run(WORK)


@pytest.mark.parametrize(
    "text",
    [
        'I read it. <tool_call>{"name": "list", "arguments": {}}</tool_call>\n<tool_call>{"name": "read", '
        '"arguments": {"path": "a.txt"}}</tool_call>',
        '```json\n[{"name": "list", "parameters": {}}, '
        '{"name": "read", "parameters": {"path": "a.txt"}}]\n```',
        '<think>calls?</think>{"thought": "so", "calls": [{"tool": "list"}, {"tool": "read", '
        '"arguments": "{\\"path\\": \\"a.txt\\"}"}]}',
    ],
)
async def test_calls_that_stand_in_the_text_are_calls(around: Surround, text: str) -> None:
    place = around(answer(TextBlock(text)), FINISH)
    await place.loop()[0].run(WORK)
    results = [one.text for one in place.model.requests[1].messages[2].blocks if isinstance(one, ToolResult)]
    assert "a.txt" in results[0]
    assert results[1].startswith("a.txt, 2 lines")


async def test_more_calls_than_a_step_may_have_are_refused(around: Surround) -> None:
    place = around(answer(*[call("list")] * 1_000), FINISH)
    await place.loop()[0].run(WORK)
    results = [one.text for one in place.model.requests[1].messages[2].blocks if isinstance(one, ToolResult)]
    assert len(results) == 1_000
    assert set(results[8:]) == {"refused: not done: at most 8 calls are made in one step"}


@pytest.mark.parametrize("save", [2, 3, 4, 6])
async def test_a_successor_whose_model_writes_text_goes_on_behind_the_last_step(
    around: Surround, save: int
) -> None:
    expected, _ = around(*NATIVE).loop()
    await expected.run(WORK)
    store = Mortal()
    store.left, store.after = save, True
    first = around(*NATIVE, store=store)
    with pytest.raises(Killed):
        await first.loop()[0].run(WORK)
    answered = len(first.model.requests)
    second = around(*["unused", EDIT, RUN, DONE][answered:], store=store)
    successor, log = second.loop()
    assert (await successor.run(WORK)).text == "doubled"
    assert successor.tree == expected.tree
    assert log.usage.model_calls == 4 - answered


async def test_what_is_to_be_done_is_shown_again_and_known_to_a_successor(around: Surround) -> None:
    keeps = call("todo", entries=[{"text": "double", "state": "doing"}, {"text": "log"}])
    looks = [answer(call("read", path="a.txt", first=number)) for number in (1, 2, 1, 2, 1)]
    store = Mortal()
    store.left, store.after = 8, True
    with pytest.raises(Killed):
        await around(answer(keeps), *looks, store=store).loop()[0].run(WORK)
    place = around(*looks[3:], FINISH, store=store)
    await place.loop()[0].run(WORK)
    shown = [turn for turn in turns_of(place.model.requests[-1]) if "To do:\n[>] double\n[ ] log" in turn]
    assert [turn.partition(".")[0] for turn in shown] == ["Step 5 of 60 is done"]
