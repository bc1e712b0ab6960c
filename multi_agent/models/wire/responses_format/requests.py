"""Requests for OpenAI responses, both ways."""

from __future__ import annotations

from typing import Any, Final, Literal

from multi_agent.models.wire.canonical import (
    WireChoice,
    WireRequest,
    WireSchema,
    WireService,
    WireText,
    WireTool,
    WireTurn,
    merged,
)
from multi_agent.models.wire.chat_format.requests import ANSWER, MODES
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.parameters import put, read_parameters, write_parameters
from multi_agent.models.wire.responses_format.items import read_item, write_items
from multi_agent.models.wire.seals import gathered, kept_for

_SEALS: Final = "reasoning.encrypted_content"
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
        if wanted != _SEALS:
            notes.lose(f"$.include[{index}]", f"{wanted!r} is known to OpenAI alone")
    if top.text("truncation") not in ("", "disabled"):
        notes.lose("$.truncation", "requests are sent whole")
    return WireRequest(
        model=top.need("model", str),
        turns=tuple(
            WireTurn(turn.role, gathered(turn.blocks), turn.at) for turn in merged(turns) if turn.blocks
        ),
        tools=tuple(tool for one in top.children("tools") if (tool := _read_tool(one)) is not None),
        choice=_read_choice(top, places),
        schema=_read_schema(top, places),
        parameters=parameters,
        places=places,
    )


def write_request(request: WireRequest, notes: Notes, service: WireService) -> dict[str, Any]:
    """The body of a request. Nothing is kept at the service unless the request says so."""
    instructions, turns = _split(kept_for("responses", request.turns, notes))
    body: dict[str, Any] = {
        "model": service.model or request.model,
        "input": write_items(turns, notes),
        "include": [_SEALS],
        "store": request.parameters.get("store", False),
    }
    if instructions:
        if instructions.cache:
            notes.lose(f"{instructions.at}.cache", "services of responses keep a cache without marks")
        body["instructions"] = instructions.text
    if request.tools:
        body["tools"] = [write_tool(tool, notes) for tool in request.tools]
    if choice := _written_choice(request.choice):
        body["tool_choice"] = choice
    shown = request.parameters.get("show_thoughts")
    if shown is False:
        notes.lose(request.place("show_thoughts"), "responses show no thoughts unless they are asked to")
    body |= write_parameters(request, "responses", notes, frozenset({"show_thoughts", "store"}))
    if shown:
        put(body, "reasoning.summary", "auto")
    if wanted := request.schema:
        put(body, "text.format", _written_schema(wanted))
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


def _read_tool(tool: Fields) -> WireTool | None:
    kind = tool.need("type", str)
    if kind != "function":
        tool.everything()
        tool.notes.refuse(tool.path, f"tools of type {kind!r} are known to OpenAI alone")
        return None
    strict = tool.take("strict", bool)
    return WireTool(
        tool.need("name", str),
        tool.take("description", str),
        tool.take("parameters", dict) or {"type": "object", "properties": {}},
        # Strict is what a tool is here that does not say it.
        strict is not False,
        at=tool.path,
    )


def _read_choice(top: Fields, places: dict[str, str]) -> WireChoice:
    places["tool_choice"] = top.at("tool_choice")
    found = top.raw("tool_choice")
    if found is None:
        return WireChoice()
    if isinstance(found, str):
        if found not in MODES:
            top.notes.wrong("$.tool_choice", f"must be one of auto, required, none, got {found!r}")
        return WireChoice(found if found in MODES else "auto")  # type: ignore[arg-type]
    choice = top.child("tool_choice")
    assert choice is not None, "it is there"
    match choice.need("type", str):
        case "function":
            return WireChoice("required", (choice.need("name", str),))
        case "allowed_tools":
            mode: Literal["auto", "required"] = "required" if choice.text("mode") == "required" else "auto"
            return WireChoice(mode, tuple(_named(tool) for tool in choice.children("tools")))
        case other:
            choice.everything()
            choice.notes.refuse(choice.path, f"a choice of type {other!r} is known to OpenAI alone")
            return WireChoice()


def _named(tool: Fields) -> str:
    if tool.need("type", str) != "function":
        tool.notes.refuse(tool.path, "tools of other types are known to OpenAI alone")
    return tool.need("name", str)


def _written_choice(choice: WireChoice) -> Any:
    if not choice.names:
        return None if choice.mode == "auto" else choice.mode
    named = [{"type": "function", "name": name} for name in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def _read_schema(top: Fields, places: dict[str, str]) -> WireSchema | None:
    text = top.child("text")
    wanted = text.child("format") if text else None
    if wanted is None:
        return None
    places["schema"] = wanted.path
    match wanted.need("type", str):
        case "text":
            return None
        case "json_object":
            return WireSchema()
        case "json_schema":
            name, strict = wanted.need("name", str), wanted.take("strict", bool) or False
            name = "" if name == ANSWER else name
            return WireSchema(wanted.need("schema", dict), name, wanted.text("description"), strict)
        case other:
            wanted.everything()
            wanted.notes.refuse(wanted.path, f"a format of type {other!r} is known to OpenAI alone")
            return None


def _written_schema(wanted: WireSchema) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    described = {"description": wanted.description} if wanted.description else {}
    said = {"type": "json_schema", "name": wanted.name or ANSWER, **described}
    return {**said, "schema": dict(wanted.schema), "strict": wanted.strict}


def _split(turns: tuple[WireTurn, ...]) -> tuple[WireText | None, tuple[WireTurn, ...]]:
    """What the system says at the beginning, where it is one text, and the other turns."""
    if turns and turns[0].role == "system":
        match turns[0].blocks:
            case (WireText() as only,) if only.text:
                return only, turns[1:]
    return None, turns
