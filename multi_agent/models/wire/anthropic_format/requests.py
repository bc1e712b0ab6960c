"""Requests for Anthropic messages, both ways."""

from __future__ import annotations

from typing import Any, Final

from multi_agent.models.wire.anthropic_format.blocks import (
    marked,
    read_cache,
    read_content,
    write_blocks,
)
from multi_agent.models.wire.canonical import (
    Role,
    WireChoice,
    WireRequest,
    WireSchema,
    WireService,
    WireTool,
    WireTurn,
    merged,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.parameters import THINKING, put, read_parameters, write_parameters
from multi_agent.models.wire.seals import gathered, kept_for

_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
_REFUSED: Final = {
    "container": "containers are known to Anthropic alone",
    "mcp_servers": "MCP servers at the service are known to Anthropic alone",
}
_MODES: Final = {"auto": "auto", "required": "any", "none": "none"}
_OWN: Final = THINKING | {"parallel_tool_calls", "max_tokens"}


def read_request(body: Any, notes: Notes) -> WireRequest:
    """A request."""
    top = Fields(body, "$", notes)
    top.refuse(_REFUSED)
    turns = [_read_turn(message) for message in top.children("messages")]
    if not turns:
        notes.wrong("$.messages", "must hold at least one message")
    if top.has("system"):
        turns.insert(0, WireTurn("system", tuple(read_content(top, "system")), top.at("system")))
    parameters, places = read_parameters(top, "anthropic")
    if "max_tokens" not in parameters:
        notes.wrong("$.max_tokens", "required field is missing")
    choice = _read_choice(top, parameters, places)
    _read_thinking(top, parameters, places)
    return WireRequest(
        model=top.need("model", str),
        turns=merged(turns),
        tools=tuple(tool for one in top.children("tools") if (tool := _read_tool(one)) is not None),
        choice=choice,
        schema=_read_schema(top, places),
        parameters=parameters,
        places=places,
    )


def write_request(request: WireRequest, notes: Notes, service: WireService) -> dict[str, Any]:
    """The body of a request."""
    system, turns = _split(kept_for("anthropic", request.turns, notes))
    body: dict[str, Any] = {
        "model": service.model or request.model,
        "max_tokens": request.parameters.get("max_tokens", service.most_output),
        "messages": write_turns(turns, notes),
    }
    if blocks := write_blocks(system, notes):
        body["system"] = blocks
    if request.tools:
        body["tools"] = [write_tool(tool, notes) for tool in request.tools]
    if choice := _written_choice(request, notes):
        body["tool_choice"] = choice
    said = _write_thinking(request, body, notes)
    for name, value in write_parameters(request, "anthropic", notes, _OWN | said).items():
        body[name] = value
    _write_schema(request, body, notes)
    return body


def write_turns(turns: tuple[WireTurn, ...], notes: Notes) -> list[dict[str, Any]]:
    """Turns as messages."""
    return [{"role": turn.role, "content": write_blocks(turn.blocks, notes)} for turn in turns]


def write_tool(tool: WireTool, notes: Notes) -> dict[str, Any]:
    """A tool as the service takes it."""
    described = {} if tool.description is None else {"description": tool.description}
    written = {"name": tool.name, **described, "input_schema": dict(tool.schema)}
    return marked(written | ({"strict": True} if tool.strict else {}), tool.cache, tool.at, notes)


def _read_turn(message: Fields) -> WireTurn:
    role = message.need("role", str)
    if role not in _ROLES:
        message.notes.wrong(message.at("role"), f"must be one of {', '.join(_ROLES)}, got {role!r}")
    blocks = gathered(read_content(message, "content"))
    return WireTurn(_ROLES.get(role, "user"), blocks, message.path)


def _read_tool(tool: Fields) -> WireTool | None:
    kind = tool.text("type")
    if kind not in ("", "custom"):
        tool.everything()
        tool.notes.refuse(tool.path, f"tools of type {kind!r} are known to Anthropic alone")
        return None
    return WireTool(
        tool.need("name", str),
        tool.take("description", str),
        tool.need("input_schema", dict),
        tool.take("strict", bool) or False,
        read_cache(tool),
        tool.path,
    )


def _read_choice(top: Fields, parameters: dict[str, Any], places: dict[str, str]) -> WireChoice:
    choice = top.child("tool_choice")
    if choice is None:
        return WireChoice()
    places["tool_choice"] = choice.path
    single = choice.take("disable_parallel_tool_use", bool)
    if single is not None:
        parameters["parallel_tool_calls"] = not single
        places["parallel_tool_calls"] = choice.at("disable_parallel_tool_use")
    match choice.need("type", str):
        case "any":
            return WireChoice("required")
        case "none":
            return WireChoice("none")
        case "tool":
            return WireChoice("required", (choice.need("name", str),))
        case "auto":
            return WireChoice()
        case other:
            choice.notes.refuse(choice.at("type"), f"must be one of auto, any, tool, none, got {other!r}")
            return WireChoice()


def _written_choice(request: WireRequest, notes: Notes) -> dict[str, Any]:
    choice, parallel = request.choice, request.parameters.get("parallel_tool_calls")
    written: dict[str, Any] = {"type": _MODES[choice.mode]}
    if len(choice.names) == 1 and choice.mode == "required":
        written = {"type": "tool", "name": choice.names[0]}
    elif choice.names:
        notes.refuse(request.place("tool_choice"), "anthropic takes one tool that must be called, or any")
    if parallel is not None and choice.mode != "none":
        written["disable_parallel_tool_use"] = not parallel
    elif parallel is not None:
        notes.lose(request.place("parallel_tool_calls"), "anthropic takes it only where tools may be called")
    return {} if written == {"type": "auto"} else written


def _read_thinking(top: Fields, parameters: dict[str, Any], places: dict[str, str]) -> None:
    thinking = top.child("thinking")
    if thinking is None:
        return
    found: dict[str, Any] = {}
    match thinking.need("type", str):
        case "enabled":
            found["thinking_budget"] = thinking.need("budget_tokens", int)
        case "adaptive":
            found["thinking_adaptive"] = True
        case "disabled" if "effort" not in parameters:
            found["effort"] = "none"
        case other:
            thinking.notes.lose(thinking.at("type"), f"is {other!r}, which is known to Anthropic alone")
    if display := thinking.text("display"):
        found["show_thoughts"] = display == "summarized"
    parameters.update(found)
    places.update(dict.fromkeys(found, thinking.path))


def _write_thinking(request: WireRequest, body: dict[str, Any], notes: Notes) -> frozenset[str]:
    """Set `thinking`; return the parameters that it says beyond its own."""
    parameters, said = request.parameters, {""}
    if parameters.get("effort") == "none":
        body["thinking"], said = {"type": "disabled"}, {"effort"}
    elif "thinking_budget" in parameters:
        budget = parameters["thinking_budget"]
        body["thinking"], said = {"type": "enabled", "budget_tokens": budget}, {"thinking_budget"}
    elif "thinking_adaptive" in parameters:
        body["thinking"], said = {"type": "adaptive"}, {"thinking_adaptive"}
    if "show_thoughts" in parameters and said & THINKING:
        body["thinking"]["display"] = "summarized" if parameters["show_thoughts"] else "omitted"
        said.add("show_thoughts")
    for name in sorted((THINKING - said) & set(parameters)):
        notes.lose(request.place(name), "anthropic says it with thinking alone, in one way")
    return frozenset(said)


def _read_schema(top: Fields, places: dict[str, str]) -> WireSchema | None:
    config = top.child("output_config")
    wanted = config.child("format") if config else None
    if wanted is None:
        return None
    places["schema"] = wanted.path
    wanted.ignore("type")
    return WireSchema(wanted.need("schema", dict), strict=True)


def _write_schema(request: WireRequest, body: dict[str, Any], notes: Notes) -> None:
    wanted = request.schema
    if wanted is None:
        return
    place = request.place("schema")
    if wanted.schema is None:
        notes.lose(place, "anthropic holds an answer to a schema alone; say in the prompt that it is JSON")
        return
    put(body, "output_config.format", {"type": "json_schema", "schema": dict(wanted.schema)})
    for name, value in (("name", wanted.name), ("description", wanted.description)):
        if value:
            notes.lose(f"{place}.{name}", "anthropic has no such field of a schema")
    if not wanted.strict:
        notes.lose(f"{place}.strict", "anthropic always holds the answer to the schema")


def _split(turns: tuple[WireTurn, ...]) -> tuple[tuple[Any, ...], tuple[WireTurn, ...]]:
    """What the system says at the beginning, and the turns."""
    if turns and turns[0].role == "system":
        return turns[0].blocks, turns[1:]
    return (), turns
