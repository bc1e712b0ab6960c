"""How a loop takes what a model says and shows what tools say, whatever characters there are in it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from agents.loop.ends import Ends
from agents.loop.record import Ending
from agents.tools.bench import Bench
from agents.tools.tool import Tool, ToolRefused
from contracts.base.errors import AgentFailure, UnsafePath
from contracts.base.model import Model
from contracts.ports.content import TextBlock, ThinkingBlock, ToolCall
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.text_form import in_text
from tests.agents.support import ExchangesInMemory, ScriptedModel
from tests.loop.lines import WORK, Lines, lines_loop
from tests.loop.test_loop import step
from tests.loop.test_two_workers import adds


async def test_prose_with_braces_ends_a_loop() -> None:
    said = "Done: `{name}` is replaced, and `{}` returned."
    loop, _ = lines_loop(ExchangesInMemory(), ScriptedModel(adds("a"), said, said))
    assert await loop.run(WORK) == Ending("finished", said, 3)


async def test_a_broken_call_ends_no_loop_as_if_it_were_done() -> None:
    broken = 'Now: {"thought": "I add it", "calls": [{"tool": "add"'
    loop, _ = lines_loop(ExchangesInMemory(), ScriptedModel(adds("a"), broken, broken, broken))
    with pytest.raises(AgentFailure, match=r"3 answers in a row cannot be used: .* is not closed"):
        await loop.run(WORK)


class Look(Model):
    """Look at a file whose text is not UTF-8."""

    refused: bool = False


async def look(_bench: Bench, asked: Look) -> str:
    if asked.refused:
        raise ToolRefused("no 'gr\udcfc\udcdfe'")
    return "gr\udcfc\udcdfe \ud800"


LOOK = Tool("look", Look, look)


class Unkept(Lines):
    """A workspace with a file that no tree may hold."""

    async def snapshot(self) -> str:
        raise UnsafePath("'gr\udcfc'")


LOOKS = ModelResponse(
    "",
    "native-1",
    blocks=(
        ThinkingBlock("\udcfc"),
        TextBlock("\udcfc"),
        ToolCall("look", '{"refused": true}', "1"),
        ToolCall("look", "{}", "2"),
        ToolCall("l\udcfck", '{"\udcfc": 1}', "3"),
    ),
)


@pytest.mark.parametrize("form", [lambda request: request, in_text])
async def test_whatever_was_said_and_shown_can_be_sent(form: Callable[[ModelRequest], ModelRequest]) -> None:
    model = ScriptedModel(LOOKS, "Not \ud800 a call", step(("finish", {"summary": "seen"})))
    loop, _ = lines_loop(ExchangesInMemory(), model, [LOOK], Unkept)
    await loop.run(WORK)
    for request in map(form, model.requests):
        sent = [
            (block.name, block.as_object) if isinstance(block, ToolCall) else (block.text, "")
            for message in request.messages
            for block in message.contents
        ]
        assert json.dumps(sent, ensure_ascii=False).encode()
    shown = model.requests[1].messages[2].blocks
    results = [block.text for block in shown if not isinstance(block, ToolCall)]
    assert results[1:3] == ["refused: no 'gr\ufffd\ufffde'", "gr\ufffd\ufffde \ufffd"]
    assert "would be lost with this sandbox: 'gr\ufffd'" in results[-1]


async def test_what_was_refused_of_an_end_is_not_looked_at_again() -> None:
    asked: list[Model] = []

    async def check(end: Model) -> None:
        asked.append(end)
        if len(asked) == 1:
            raise ToolRefused("no test fails")

    store, done = ExchangesInMemory(), step(("finish", {"summary": "seen"}))
    model = ScriptedModel(done, adds("a"))
    loop, _ = lines_loop(store, model, ends=Ends(check=check))
    with pytest.raises(AssertionError, match="no answer for request 3"):
        await loop.run(WORK)
    successor, log = lines_loop(store, ScriptedModel(done), ends=Ends(check=check))
    assert await successor.run(WORK) == Ending("finished", "seen", 3)
    assert len(asked) == 2, "once each"
    assert log.usage.model_calls == 1
    assert "refused: no test fails" in in_text(model.requests[1]).messages[-1].text
