"""Requests for chat completions, both ways."""

from __future__ import annotations

from typing import Any, Final

from multi_agent.models.wire.canonical import (
    WireRequest,
    WireService,
    WireTool,
    merged,
)
from multi_agent.models.wire.chat_format.messages import read_turn, write_messages
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.openai_shared import read_choice, read_schema, write_choice, write_schema
from multi_agent.models.wire.parameters import read_parameters, write_parameters
from multi_agent.models.wire.seals import kept_for

_OLD_NAMES: Final = (("max_tokens", "max_tokens", int), ("user", "user", str))
"""Fields that have newer names: ours, theirs, the kind."""
_REFUSED: Final = {
    "functions": "functions are the form before tools; send tools",
    "function_call": "functions are the form before tools; send tools",
    "audio": "sound is known to OpenAI alone",
    "web_search_options": "searches by the service are known to OpenAI alone",
}


def read_request(body: Any, notes: Notes) -> WireRequest:
    """A request."""
    top = Fields(body, "$", notes)
    top.refuse(_REFUSED)
    turns = [read_turn(message) for message in top.children("messages")]
    if not turns:
        notes.wrong("$.messages", "must hold at least one message")
    parameters, places = read_parameters(top, "chat")
    for name, old, kind in _OLD_NAMES:
        if (value := top.take(old, kind)) is not None and name not in parameters:
            parameters[name], places[name] = value, top.at(old)
    if (top.take("n", int) or 1) > 1:
        notes.refuse("$.n", "several answers at once are known to OpenAI and Gemini alone; ask again instead")
    if options := top.child("stream_options"):
        options.ignore("include_usage", "include_obfuscation")
    return WireRequest(
        model=top.need("model", str),
        turns=merged(turns),
        tools=tuple(tool for one in top.children("tools") if (tool := _read_tool(one)) is not None),
        choice=read_choice(top, places, deeper=True),
        schema=read_schema(top.child("response_format"), places, deeper=True),
        parameters=parameters,
        places=places,
    )


def wants_stream_usage(body: Any) -> bool:
    """Whether a client asked for the usage of a stream."""
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def write_request(request: WireRequest, notes: Notes, service: WireService) -> dict[str, Any]:
    """The body of a request. Of a stream the usage is always asked for."""
    body: dict[str, Any] = {
        "model": service.model or request.model,
        "messages": write_messages(kept_for("chat", request.turns, notes), notes),
    }
    if request.tools:
        body["tools"] = [write_tool(tool, notes) for tool in request.tools]
    if choice := write_choice(request.choice, deeper=True):
        body["tool_choice"] = choice
    body |= write_parameters(request, "chat", notes)
    if "max_completion_tokens" in body:
        body[service.limit_name] = body.pop("max_completion_tokens")
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}
    if wanted := request.schema:
        body["response_format"] = write_schema(wanted, deeper=True)
    return body


def write_tool(tool: WireTool, notes: Notes) -> dict[str, Any]:
    """A tool as services take it."""
    if tool.cache:
        notes.lose(f"{tool.at}.cache", "services of chat completions keep a cache without marks")
    described = {} if tool.description is None else {"description": tool.description}
    strict = {"strict": True} if tool.strict else {}
    function = {"name": tool.name, **described, "parameters": dict(tool.schema), **strict}
    return {"type": "function", "function": function}


def _read_tool(tool: Fields) -> WireTool | None:
    kind = tool.need("type", str)
    function = tool.child("function")
    if kind != "function" or function is None:
        tool.everything()
        tool.notes.refuse(tool.path, f"tools of type {kind!r} are known to OpenAI alone")
        return None
    return WireTool(
        function.need("name", str),
        function.take("description", str),
        function.take("parameters", dict) or {"type": "object", "properties": {}},
        function.take("strict", bool) or False,
        at=tool.path,
    )
