"""Requests for OpenAI responses, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from multi_agent.models.wire.canonical import (
    WireRequest,
    WireService,
    WireText,
    WireTool,
    WireTurn,
    grouped,
    merged,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.openai_shared import read_choice, read_schema, write_choice, write_schema
from multi_agent.models.wire.parameters import put, read_parameters, write_parameters
from multi_agent.models.wire.responses_format.items import read_item, write_items
from multi_agent.models.wire.seals import gathered, kept_for

_GROUP: Final = "namespace"
SEALS: Final = "reasoning.encrypted_content"
"""How a service is asked for what it wants back of a model's thoughts."""
_REFUSED: Final = {
    "previous_response_id": "answers kept at the service are known to it alone; send the whole conversation",
    "conversation": "conversations kept at the service are known to it alone; send the whole conversation",
    "prompt": "prompts kept at the service are known to it alone; send their text",
    "background": "answers in the background are known to OpenAI alone",
}


def read_request(body: Any, notes: Notes) -> WireRequest:
    """A request."""
    top = Fields(body, "$", notes)
    top.refuse(_REFUSED)
    turns = _read_input(top)
    if instructions := top.text("instructions"):
        turns.insert(0, WireTurn("system", (WireText(instructions, at=top.at("instructions")),)))
    parameters, places = read_parameters(top, "responses")
    if (reasoning := top.child("reasoning")) and reasoning.text("summary"):
        parameters["show_thoughts"], places["show_thoughts"] = True, reasoning.at("summary")
    for index, wanted in enumerate(top.texts("include") or ()):
        if wanted != SEALS:
            notes.lose(f"$.include[{index}]", f"{wanted!r} is known to OpenAI alone")
    if top.text("truncation") not in ("", "disabled"):
        notes.lose("$.truncation", "requests are sent whole")
    text, tools = top.child("text"), top.children("tools")
    return WireRequest(
        model=top.need("model", str),
        turns=tuple(
            WireTurn(turn.role, gathered(turn.blocks), turn.at)
            for turn in merged([turn for turn in turns if turn.blocks])
            if turn.blocks
        ),
        tools=tuple(tool for one in tools for tool in _read_tools(one)),
        groups=tuple(one.text("name") for one in tools if one.text("type") == _GROUP),
        choice=read_choice(top, places, deeper=False),
        schema=read_schema(text.child("format") if text else None, places, deeper=False),
        parameters=parameters,
        places=places,
    )


def write_request(request: WireRequest, notes: Notes, service: WireService) -> dict[str, Any]:
    """The body of a request. Nothing is kept at the service unless the request says so."""
    instructions, turns = _split(kept_for("responses", request.turns, notes))
    body: dict[str, Any] = {
        "model": service.model or request.model,
        "input": write_items(turns, notes),
        "include": [SEALS],
        "store": request.parameters.get("store", False),
    }
    if instructions:
        if instructions.cache:
            notes.lose(f"{instructions.at}.cache", "services of responses keep a cache without marks")
        body["instructions"] = instructions.text
    if request.tools:
        body["tools"] = [write_tool(tool, notes) for tool in request.tools]
    if choice := write_choice(request.choice, deeper=False):
        body["tool_choice"] = choice
    shown = request.parameters.get("show_thoughts")
    if shown is False:
        notes.lose(request.place("show_thoughts"), "responses show no thoughts unless they are asked to")
    body |= write_parameters(request, "responses", notes, frozenset({"show_thoughts", "store"}))
    if shown:
        put(body, "reasoning.summary", "auto")
    if wanted := request.schema:
        put(body, "text.format", write_schema(wanted, deeper=False))
    return body


def write_tool(tool: WireTool, notes: Notes) -> dict[str, Any]:
    """A tool as the service takes it."""
    if tool.cache:
        notes.lose(f"{tool.at}.cache", "services of responses keep a cache without marks")
    described = {} if tool.description is None else {"description": tool.description}
    said = {"type": "function", "name": tool.name, **described}
    return {**said, "parameters": dict(tool.schema), "strict": tool.strict}


def _read_input(top: Fields) -> list[WireTurn]:
    if isinstance(text := top.raw("input"), str):
        return [WireTurn("user", (WireText(text, at=top.at("input")),), top.at("input"))]
    turns = [read_item(item) for item in top.children("input")]
    if not turns:
        top.notes.wrong("$.input", "must be a text or hold at least one item")
    return turns


def _read_tools(tool: Fields) -> Iterator[WireTool]:
    kind = tool.need("type", str)
    if kind == "function":
        yield _read_tool(tool)
    elif kind == _GROUP:
        if tool.text("description"):
            tool.notes.lose(
                tool.at("description"), "groups of tools are known to OpenAI alone; each stands alone"
            )
        for one in tool.children("tools"):
            for found in _read_tools(one):
                yield replace(found, name=grouped(tool.need("name", str), found.name))
    else:
        tool.everything()
        tool.notes.refuse(tool.path, f"tools of type {kind!r} are known to OpenAI alone; switch it off")


def _read_tool(tool: Fields) -> WireTool:
    strict = tool.take("strict", bool)
    return WireTool(
        tool.need("name", str),
        tool.take("description", str),
        tool.take("parameters", dict) or {"type": "object", "properties": {}},
        # Strict is what a tool is here that does not say it.
        strict is not False,
        at=tool.path,
    )


def _split(turns: tuple[WireTurn, ...]) -> tuple[WireText | None, tuple[WireTurn, ...]]:
    """What the system says at the beginning, where it is one text, and the other turns."""
    if turns and turns[0].role == "system":
        match turns[0].blocks:
            case (WireText() as only,) if only.text:
                return only, turns[1:]
    return None, turns
