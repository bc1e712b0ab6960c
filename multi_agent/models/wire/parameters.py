"""Parameters of requests that are one value: what each is called in which format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from multi_agent.models.wire.canonical import FormatName, WireRequest
from multi_agent.models.wire.fields import Fields, Notes

_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of them. What a format does not name it cannot say."""

    name: str
    kind: type
    places: Mapping[FormatName, str]
    """Where it stands, as names of fields with dots between."""
    words: Mapping[FormatName, Mapping[str, str]] = field(default_factory=dict)
    """The values that a format takes, where it does not take them all, and what it calls them."""
    most: Mapping[FormatName, float] = field(default_factory=dict)
    """The largest value or longest list that a format takes."""
    idle: Any = None
    """The value that says no more than its absence."""


def _same(name: str, kind: type, *formats: FormatName, gemini: str = "") -> Parameter:
    places = dict.fromkeys(formats, name)
    return Parameter(name, kind, places | ({"gemini": f"generationConfig.{gemini}"} if gemini else {}))


PARAMETERS: Final = (
    replace(
        _same("temperature", float, "anthropic", "chat", "responses", gemini="temperature"),
        most={"anthropic": 1.0},
    ),
    _same("top_p", float, "anthropic", "chat", "responses", gemini="topP"),
    _same("top_k", float, "anthropic", gemini="topK"),
    _same("seed", int, "chat", gemini="seed"),
    _same("presence_penalty", float, "chat", gemini="presencePenalty"),
    _same("frequency_penalty", float, "chat", gemini="frequencyPenalty"),
    Parameter(
        "max_tokens",
        int,
        {
            "anthropic": "max_tokens",
            "chat": "max_completion_tokens",
            "responses": "max_output_tokens",
            "gemini": "generationConfig.maxOutputTokens",
        },
    ),
    Parameter(
        "stop",
        list,
        {"anthropic": "stop_sequences", "chat": "stop", "gemini": "generationConfig.stopSequences"},
        most={"chat": 4, "gemini": 5},
    ),
    Parameter(
        "effort",
        str,
        {
            "anthropic": "output_config.effort",
            "chat": "reasoning_effort",
            "responses": "reasoning.effort",
            "gemini": "generationConfig.thinkingConfig.thinkingLevel",
        },
        words={
            "anthropic": {level: level for level in (*_LEVELS[1:], "max")},
            "gemini": {level: level.upper() for level in _LEVELS},
        },
    ),
    Parameter(
        "user",
        str,
        {"anthropic": "metadata.user_id", "chat": "safety_identifier", "responses": "safety_identifier"},
    ),
    _same("metadata", dict, "chat", "responses"),
    replace(_same("parallel_tool_calls", bool, "chat", "responses"), idle=True),
    _same("prompt_cache_key", str, "chat", "responses"),
    replace(_same("store", bool, "chat", "responses"), idle=False),
    Parameter("verbosity", str, {"chat": "verbosity", "responses": "text.verbosity"}),
    replace(_same("stream", bool, "anthropic", "chat", "responses"), idle=False),
)
BY_NAME: Final = {parameter.name: parameter for parameter in PARAMETERS}
THINKING: Final = frozenset({"thinking_adaptive", "thinking_budget", "show_thoughts"})
"""Parameters that formats read and write themselves, where more than one field says them."""


def read_parameters(top: Fields, name: FormatName) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that a body has, and where each stands."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for parameter in PARAMETERS:
        *folders, key = parameter.places.get(name, "").split(".")
        holder: Fields | None = top
        for folder in folders:
            holder = holder.child(folder) if holder else None
        if not key or holder is None or (value := _taken(holder, key, parameter.kind)) is None:
            continue
        if value == parameter.idle and isinstance(value, bool):
            continue
        values[parameter.name] = _known(parameter, name, value, holder.at(key), top.notes)
        places[parameter.name] = holder.at(key)
    return values, places


def write_parameters(
    request: WireRequest, name: FormatName, notes: Notes, written: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The part of a body that says them, but for those `written` elsewhere; what cannot be said is noted."""
    body: dict[str, Any] = {}
    for key, value in request.parameters.items():
        if key in written:
            continue
        parameter = BY_NAME.get(key)
        place = parameter.places.get(name) if parameter else None
        if parameter is None or place is None:
            if key != "stream":
                # A format without it says it in the URL.
                notes.lose(request.place(key), f"{name} has no such parameter")
        elif (said := _said(parameter, name, value, request.place(key), notes)) is not None:
            put(body, place, said)
    return body


def put(body: dict[str, Any], place: str, value: object) -> None:
    """Set a value in nested objects."""
    *folders, key = place.split(".")
    for folder in folders:
        body = body.setdefault(folder, {})
    body[key] = value


def _taken(holder: Fields, key: str, kind: type) -> Any:
    if kind is not list:
        return holder.take(key, kind)
    texts = holder.texts(key)
    return None if texts is None else tuple(texts)


def _known(parameter: Parameter, name: FormatName, value: Any, path: str, notes: Notes) -> Any:
    words = parameter.words.get(name)
    if words is None:
        return value
    known = {said: meant for meant, said in words.items()}
    if value not in known:
        notes.refuse(path, f"must be one of {', '.join(known)}, got {value!r}")
    return known.get(value, value)


def _said(parameter: Parameter, name: FormatName, value: Any, path: str, notes: Notes) -> Any:
    words, most = parameter.words.get(name), parameter.most.get(name)
    if words is not None and value not in words:
        notes.lose(path, f"{name} knows no {value!r} here, but {', '.join(words)}")
        return None
    if parameter.kind is list:
        if most is not None and len(value) > most:
            notes.refuse(path, f"{name} takes at most {most:g}, got {len(value)}")
        return list(value)
    if most is not None and value > most:
        notes.lose(path, f"{name} takes at most {most:g}; {most:g} is sent for {value:g}")
        return most
    return words[value] if words else value
