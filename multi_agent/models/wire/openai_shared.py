"""What chat completions and responses say alike; the first puts it one object deeper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from multi_agent.models.wire.canonical import WireBlock, WireChoice, WireSchema, WireText
from multi_agent.models.wire.fields import Fields

ERROR: Final = "Error: "
"""Before a result that is an error, since there is no field for that."""
_MODES: Final = ("auto", "required", "none")
_ANSWER: Final = "answer"
"""The name of a schema that has none."""


def read_content(
    holder: Fields, key: str, read_part: Callable[[Fields], WireBlock | None]
) -> list[WireBlock]:
    """Content: a text, or a list of parts."""
    if isinstance(text := holder.raw(key), str):
        return [WireText(text, at=holder.at(key))]
    return [block for part in holder.children(key) if (block := read_part(part)) is not None]


def read_cache(part: Fields) -> str:
    """How long what leads up to here is to be cached."""
    mark = part.child("prompt_cache_breakpoint")
    if mark is None:
        return ""
    mark.ignore("mode")
    return mark.text("ttl") or "default"


def read_choice(top: Fields, places: dict[str, str], *, deeper: bool) -> WireChoice:
    """Whether tools are to be called."""
    places["tool_choice"] = top.at("tool_choice")
    found = top.raw("tool_choice")
    if found is None:
        return WireChoice()
    if isinstance(found, str):
        if found not in _MODES:
            top.notes.refuse("$.tool_choice", f"must be one of {', '.join(_MODES)}, got {found!r}")
        return WireChoice(found if found in _MODES else "auto")  # type: ignore[arg-type]
    choice = top.child("tool_choice")
    assert choice is not None, "it is there"
    kind = choice.need("type", str)
    inner = choice.child(kind) if deeper else choice
    if inner is None or kind not in ("function", "allowed_tools"):
        choice.everything()
        choice.notes.refuse(choice.path, f"a choice of type {kind!r} is known to OpenAI alone")
        return WireChoice()
    if kind == "function":
        return WireChoice("required", (inner.need("name", str),))
    mode: Literal["auto", "required"] = "required" if inner.text("mode") == "required" else "auto"
    return WireChoice(mode, tuple(_named(tool, deeper=deeper) for tool in inner.children("tools")))


def write_choice(choice: WireChoice, *, deeper: bool) -> Any:
    """Whether tools are to be called; None where the model decides."""
    if not choice.names:
        return None if choice.mode == "auto" else choice.mode
    named = [_typed("function", {"name": name}, deeper=deeper) for name in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return _typed("allowed_tools", {"mode": choice.mode, "tools": named}, deeper=deeper)


def read_schema(wanted: Fields | None, places: dict[str, str], *, deeper: bool) -> WireSchema | None:
    """That the answer is to be JSON; None where it is any text."""
    if wanted is None:
        return None
    places["schema"] = wanted.path
    kind = wanted.need("type", str)
    if kind == "text":
        return None
    if kind == "json_object":
        return WireSchema()
    said = wanted.child(kind) if deeper else wanted
    if said is None or kind != "json_schema":
        wanted.everything()
        wanted.notes.refuse(wanted.path, f"a format of type {kind!r} is known to OpenAI alone")
        return None
    name = said.need("name", str)
    strict = said.take("strict", bool) or False
    return WireSchema(
        said.take("schema", dict), "" if name == _ANSWER else name, said.text("description"), strict
    )


def write_schema(wanted: WireSchema, *, deeper: bool) -> dict[str, Any]:
    """That the answer is to be JSON."""
    if wanted.schema is None:
        return {"type": "json_object"}
    said: dict[str, Any] = {"name": wanted.name or _ANSWER, "schema": dict(wanted.schema)}
    said |= {"description": wanted.description} if wanted.description else {}
    return _typed("json_schema", said | ({"strict": True} if wanted.strict else {}), deeper=deeper)


def _typed(kind: str, said: dict[str, Any], *, deeper: bool) -> dict[str, Any]:
    return {"type": kind, kind: said} if deeper else {"type": kind, **said}


def _named(tool: Fields, *, deeper: bool) -> str:
    if tool.need("type", str) != "function":
        tool.notes.refuse(tool.path, "tools of other types are known to OpenAI alone")
    inner = tool.child("function") if deeper else tool
    return inner.need("name", str) if inner else ""
