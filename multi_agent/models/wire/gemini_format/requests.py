"""Requests for generateContent, both ways. The model, and whether it streams, is in the URL."""

from __future__ import annotations

from typing import Any, Final, Literal

from multi_agent.models.wire.canonical import (
    Role,
    WireChoice,
    WireRequest,
    WireSchema,
    WireService,
    WireText,
    WireTool,
    WireTurn,
    merged,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.gemini_format.parts import CallIds, read_parts, write_contents, write_parts
from multi_agent.models.wire.gemini_format.schemas import NO_ARGUMENTS, as_json_schema
from multi_agent.models.wire.parameters import THINKING, put, read_parameters, write_parameters
from multi_agent.models.wire.seals import gathered, kept_for

_ROLES: Final[dict[str, Role]] = {"": "user", "user": "user", "function": "user", "model": "assistant"}
_MODES: Final[dict[str, Literal["auto", "required", "none"]]] = {
    "": "auto",
    "MODE_UNSPECIFIED": "auto",
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "required",
    "NONE": "none",
}
_SAID: Final = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
_THINKING: Final = "generationConfig.thinkingConfig"
_JSON: Final = "application/json"
_REFUSED: Final = {"cachedContent": "contents kept at the service are known to it alone; send them again"}


def read_request(body: Any, notes: Notes) -> WireRequest:
    """A request."""
    top = Fields(body, "$", notes)
    top.refuse(_REFUSED)
    ids = CallIds()
    turns = [_read_turn(content, ids) for content in top.children("contents")]
    if not turns:
        notes.wrong("$.contents", "must hold at least one content")
    if system := top.child("systemInstruction"):
        system.ignore("role")
        turns.insert(0, WireTurn("system", tuple(read_parts(system)), system.path))
    parameters, places = read_parameters(top, "gemini")
    if config := top.child("generationConfig"):
        _read_thinking(config, parameters, places)
        _check_answers(config)
    return WireRequest(
        model=top.text("model").removeprefix("models/"),
        turns=merged(turns),
        tools=tuple(tool for one in top.children("tools") for tool in _read_tools(one)),
        choice=_read_choice(top, places),
        schema=_read_schema(config, places) if config else None,
        parameters=parameters,
        places=places,
    )


def write_request(request: WireRequest, notes: Notes, service: WireService) -> dict[str, Any]:
    """The body of a request; `service` says nothing that stands in it."""
    system, turns = _split(kept_for("gemini", request.turns, notes), notes)
    body: dict[str, Any] = {"contents": write_contents(turns, notes)}
    if system:
        body["systemInstruction"] = {"parts": write_parts(system, notes)}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [write_tool(tool, notes) for tool in request.tools]}]
    if request.choice != WireChoice():
        body["toolConfig"] = {"functionCallingConfig": _written_choice(request.choice)}
    said = _write_thinking(request, body, notes)
    written = write_parameters(request, "gemini", notes, THINKING | said).get("generationConfig", {})
    thinking = body.get("generationConfig", {}).get("thinkingConfig", {}) | written.get("thinkingConfig", {})
    if written or thinking:
        body["generationConfig"] = written | ({"thinkingConfig": thinking} if thinking else {})
    _write_schema(request, body, notes)
    return body


def write_tool(tool: WireTool, notes: Notes) -> dict[str, Any]:
    """A tool as the service takes it."""
    if tool.cache:
        notes.lose(f"{tool.at}.cache", "Gemini keeps a cache without marks")
    if tool.strict:
        notes.lose(f"{tool.at}.strict", "Gemini holds no single tool to its schema")
    described = {} if tool.description is None else {"description": tool.description}
    return {"name": tool.name, **described, "parametersJsonSchema": dict(tool.schema)}


def _read_turn(content: Fields, ids: CallIds) -> WireTurn:
    role = content.text("role")
    if role not in _ROLES:
        content.notes.wrong(content.at("role"), f"must be one of user, model, got {role!r}")
    return WireTurn(_ROLES.get(role, "user"), gathered(read_parts(content, ids)), content.path)


def _read_tools(tool: Fields) -> list[WireTool]:
    declared = tool.children("functionDeclarations")
    for kind in list(tool.left):
        tool.raw(kind)
        tool.notes.refuse(tool.at(kind), f"{kind} is known to Gemini alone")
    return [_read_tool(one) for one in declared]


def _read_tool(one: Fields) -> WireTool:
    schema = one.take("parametersJsonSchema", dict)
    older = one.take("parameters", dict)
    schema = schema if schema is not None else as_json_schema(older)
    return WireTool(one.need("name", str), one.take("description", str), schema or NO_ARGUMENTS, at=one.path)


def _read_choice(top: Fields, places: dict[str, str]) -> WireChoice:
    config = top.child("toolConfig")
    calling = config.child("functionCallingConfig") if config else None
    if calling is None:
        return WireChoice()
    places["tool_choice"] = calling.path
    mode = calling.text("mode").upper()
    if mode not in _MODES:
        calling.notes.refuse(calling.at("mode"), f"must be one of AUTO, ANY, NONE, VALIDATED, got {mode!r}")
    names = tuple(calling.texts("allowedFunctionNames") or ())
    if mode == "VALIDATED" and not names:
        calling.notes.lose(calling.at("mode"), "calls are not held to the schemas; AUTO is sent")
    return WireChoice(_MODES.get(mode, "auto"), names)


def _written_choice(choice: WireChoice) -> dict[str, Any]:
    mode = "VALIDATED" if choice.mode == "auto" else _SAID[choice.mode]
    return {"mode": mode} | ({"allowedFunctionNames": list(choice.names)} if choice.names else {})


def _check_answers(config: Fields) -> None:
    if (config.take("candidateCount", int) or 1) > 1:
        config.notes.refuse(config.at("candidateCount"), "several answers at once; ask again instead")
    if [kind for kind in config.texts("responseModalities") or () if kind.upper() != "TEXT"]:
        config.notes.refuse(config.at("responseModalities"), "answers but texts are known to Gemini alone")


def _read_thinking(config: Fields, parameters: dict[str, Any], places: dict[str, str]) -> None:
    thinking = config.child("thinkingConfig")
    if thinking is None:
        return
    found: dict[str, Any] = {}
    budget, shown = thinking.take("thinkingBudget", int), thinking.take("includeThoughts", bool)
    if budget == 0 and "effort" not in parameters:
        found["effort"] = "none"
    elif budget is not None and budget < 0:
        found["thinking_adaptive"] = True
    elif budget:
        found["thinking_budget"] = budget
    if shown is not None:
        found["show_thoughts"] = shown
    parameters.update(found)
    places.update(dict.fromkeys(found, thinking.path))


def _write_thinking(request: WireRequest, body: dict[str, Any], notes: Notes) -> frozenset[str]:
    """Set `thinkingConfig`; return the parameters that it says beyond its own."""
    parameters = request.parameters
    budget, is_off = parameters.get("thinking_budget"), parameters.get("effort") == "none"
    if "show_thoughts" in parameters:
        put(body, f"{_THINKING}.includeThoughts", parameters["show_thoughts"])
    said = "" if is_off else "thinking_budget" if budget is not None else "thinking_adaptive"
    for name in ("thinking_adaptive", "thinking_budget"):
        if name in parameters and name != said:
            notes.lose(request.place(name), "Gemini takes one length of thoughts")
    if is_off or budget is not None or "thinking_adaptive" in parameters:
        put(body, f"{_THINKING}.thinkingBudget", 0 if is_off else -1 if budget is None else budget)
    return frozenset({"effort"}) if is_off else frozenset()


def _read_schema(config: Fields, places: dict[str, str]) -> WireSchema | None:
    kind = config.text("responseMimeType")
    schema = config.take("responseJsonSchema", dict)
    older = config.take("responseSchema", dict)
    schema = schema if schema is not None else as_json_schema(older)
    places["schema"] = config.path
    if kind not in ("", _JSON, "text/plain"):
        config.notes.refuse(config.at("responseMimeType"), f"answers as {kind} are known to Gemini alone")
    return WireSchema(schema, strict=schema is not None) if kind == _JSON else None


def _write_schema(request: WireRequest, body: dict[str, Any], notes: Notes) -> None:
    wanted = request.schema
    if wanted is None:
        return
    place = request.place("schema")
    put(body, "generationConfig.responseMimeType", _JSON)
    if wanted.schema is not None:
        put(body, "generationConfig.responseJsonSchema", dict(wanted.schema))
        if not wanted.strict:
            notes.lose(f"{place}.strict", "Gemini always holds the answer to the schema")
    for name, value in (("name", wanted.name), ("description", wanted.description)):
        if value:
            notes.lose(f"{place}.{name}", "Gemini has no such field of a schema")


def _split(turns: tuple[WireTurn, ...], notes: Notes) -> tuple[list[Any], list[WireTurn]]:
    """What the system says, and the other turns."""
    system: list[Any] = []
    others: list[WireTurn] = []
    for index, turn in enumerate(turns):
        if turn.role != "system":
            others.append(turn)
            continue
        system.extend(block for block in turn.blocks if isinstance(block, WireText))
        if index:
            notes.lose(
                f"{turn.at}.position", "Gemini hears the system at the beginning alone; it stands there"
            )
    return system, others
