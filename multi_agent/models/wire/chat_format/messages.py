"""Messages of chat completions, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from multi_agent.models.wire import media
from multi_agent.models.wire.canonical import (
    NO_ARGUMENTS,
    Role,
    WireBlock,
    WireCall,
    WireMedia,
    WireResult,
    WireSeal,
    WireText,
    WireThought,
    WireTurn,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.openai_shared import ERROR, read_cache, read_content
from multi_agent.models.wire.seals import gathered, unwrapped, wrapped

THOUGHTS: Final = ("reasoning_content", "reasoning", "reasoning_details")
"""Fields of a message in which servers give thoughts, and want them back."""
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
}


def read_turn(message: Fields) -> WireTurn:
    """A message as a turn, or as a part of one."""
    role = message.need("role", str)
    if role == "function":
        message.notes.refuse(message.path, "functions are the form before tools; send tools")
    elif role not in _ROLES:
        message.notes.wrong(message.at("role"), f"must be one of {', '.join(_ROLES)}, got {role!r}")
    if role == "tool":
        content = tuple(
            part
            for part in read_content(message, "content", _read_part)
            if isinstance(part, WireText | WireMedia)
        )
        blocks: tuple[WireBlock, ...] = (
            WireResult(message.need("tool_call_id", str), content, at=message.path),
        )
    else:
        blocks = gathered(read_blocks(message))
    return WireTurn(_ROLES.get(role, "user"), blocks, message.path)


def read_blocks(message: Fields) -> list[WireBlock]:
    """Thoughts, texts and calls of a message."""
    found = {name: value for name in THOUGHTS if (value := message.raw(name))}
    blocks = [*read_thoughts(found, message.path), *read_content(message, "content", _read_part)]
    if refusal := message.text("refusal"):
        blocks.append(WireText(refusal, at=message.at("refusal")))
    return [*blocks, *(_read_call(call) for call in message.children("tool_calls"))]


def read_thoughts(found: Mapping[str, Any], at: str) -> Iterator[WireThought]:
    """What a model thought, from the fields of a message in which that stands."""
    shown = next((value for value in found.values() if isinstance(value, str)), "")
    details = found.get("reasoning_details")
    parts = details if isinstance(details, list) else []
    texts = (part.get("data") for part in parts if isinstance(part, Mapping))
    seals = [seal for text in texts if isinstance(text, str) and (seal := unwrapped(text))]
    if not seals and found:
        yield WireThought(shown, WireSeal("chat", dict(found)), at=at)
    carried = [seal for seal in seals if not seal.of]
    for seal in seals:
        yield WireThought(shown if carried == [seal] else "", seal, at=at)


def read_arguments(function: Fields) -> str:
    """Arguments, or a part of them; some servers give them as an object."""
    found = function.raw("arguments")
    return json.dumps(found, ensure_ascii=False) if isinstance(found, Mapping) else str(found or "")


def write_messages(turns: Iterable[WireTurn], notes: Notes) -> list[dict[str, Any]]:
    """Turns as messages."""
    return [message for turn in turns for message in _written(turn, notes)]


def write_answer(blocks: Iterable[WireBlock], notes: Notes, *, to_client: bool = False) -> dict[str, Any]:
    """What a model said, as one message; for a client with the seals of other services too."""
    blocks = tuple(blocks)
    message: dict[str, Any] = {"role": "assistant", "content": None}
    thoughts = [block for block in blocks if isinstance(block, WireThought)]
    message |= shown_thoughts(thoughts) if to_client else _own_thoughts(thoughts)
    calls = [block for block in blocks if isinstance(block, WireCall)]
    texts = [block for block in blocks if isinstance(block, WireText)]
    if to_client and texts:
        message["content"] = "".join(text.text for text in texts)
    elif texts or not (calls or to_client):
        message["content"] = _content(texts, notes)
    if calls:
        message["tool_calls"] = [write_call(call, notes) for call in calls]
    _note_order(blocks, notes)
    return message


def write_call(call: WireCall, notes: Notes) -> dict[str, Any]:
    """A call, with what its own service wants back with it."""
    own = call.seal.raw if call.seal else {}
    if call.cache:
        notes.lose(f"{call.at}.cache", "chat completions mark nothing for the cache")
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.call_id, "type": "function", "function": function, **own}


def shown_thoughts(thoughts: Iterable[WireThought]) -> dict[str, Any]:
    """The fields of a message that show a client thoughts, and carry their seals."""
    thoughts = tuple(thoughts)
    shown = "\n\n".join(thought.text for thought in thoughts if thought.text)
    seals = [{"type": "reasoning.encrypted", "data": wrapped(one.seal)} for one in thoughts if one.seal]
    return ({"reasoning_content": shown} if shown else {}) | ({"reasoning_details": seals} if seals else {})


def _read_part(part: Fields) -> WireBlock | None:
    cache = read_cache(part)
    match part.need("type", str):
        case "text":
            return WireText(part.need("text", str), cache, at=part.path)
        case "refusal":
            return WireText(part.need("refusal", str), at=part.path)
        case "image_url" if image := part.child("image_url"):
            if image.text("detail") not in ("", "auto"):
                part.notes.lose(image.at("detail"), "how closely to look is known to OpenAI alone")
            return WireMedia("image", cache=cache, at=part.path, **media.of_url(image.need("url", str)))
        case "file" if file := part.child("file"):
            said = {"cache": cache, "title": media.title_of(file.text("filename")), "at": part.path}
            if file_id := file.text("file_id"):
                return WireMedia("document", file_id=file_id, owner="openai", **said)
            return WireMedia("document", **media.of_url(file.need("file_data", str)), **said)
        case other:
            part.everything()
            part.notes.refuse(part.path, f"parts of type {other!r} are known to chat completions alone")
            return None


def _read_call(call: Fields) -> WireCall:
    kind = call.text("type")
    if kind not in ("", "function"):
        call.everything()
        call.notes.refuse(call.path, f"calls of type {kind!r} are known to OpenAI alone")
    function = call.child("function")
    call.ignore("index")
    more = {"extra_content": extra} if (extra := call.raw("extra_content")) else None
    seal = WireSeal("chat", more) if more else None
    text = read_arguments(function) if function else ""
    name = function.text("name") if function else ""
    return WireCall(call.text("id"), name, text or NO_ARGUMENTS, seal, at=call.path)


def _written(turn: WireTurn, notes: Notes) -> Iterator[dict[str, Any]]:
    if turn.role == "assistant":
        for block in turn.blocks:
            if isinstance(block, WireMedia):
                notes.refuse(block.at, "chat completions take no images or documents of an assistant")
        yield write_answer(turn.blocks, notes)
        return
    moved: list[WireMedia] = []
    for result in turn.results:
        yield {"role": "tool", "tool_call_id": result.call_id, "content": _result(result, moved, notes)}
    said = [*moved, *(block for block in turn.blocks if isinstance(block, WireText | WireMedia))]
    if said or not turn.results:
        yield {"role": turn.role, "content": _content(said, notes)}


def _result(result: WireResult, moved: list[WireMedia], notes: Notes) -> Any:
    texts = [part for part in result.content if isinstance(part, WireText)]
    for part in result.content:
        if isinstance(part, WireMedia):
            moved.append(part)
            notes.lose(part.at, "chat completions take texts as results alone; it stands in the next message")
    if result.cache:
        notes.lose(f"{result.at}.cache", "chat completions mark nothing for the cache")
    content = _content(texts, notes)
    if not result.is_error:
        return content
    notes.lose(
        f"{result.at}.is_error", f"chat completions have no errors of tools; {ERROR!r} stands before it"
    )
    return ERROR + "\n\n".join(text.text for text in texts)


def _content(parts: list[WireText] | list[WireText | WireMedia], notes: Notes) -> Any:
    for part in parts:
        if part.cache:
            notes.lose(f"{part.at}.cache", "services of chat completions keep a cache without marks")
    match parts:
        case []:
            return ""
        case [WireText(text=text)]:
            return text
        case several:
            written = (_part(part, notes) for part in several)
            return [part for part in written if part is not None]


def _part(part: WireText | WireMedia, notes: Notes) -> dict[str, Any] | None:
    if isinstance(part, WireText):
        return {"type": "text", "text": part.text}
    if part.kind == "image" and (part.url or part.data):
        if part.title:
            notes.lose(f"{part.at}.title", "chat completions have no names for images")
        return {"type": "image_url", "image_url": {"url": part.url or media.data_url(part)}}
    name = {"filename": part.title} if part.title else {}
    if part.kind == "document" and part.data:
        return {
            "type": "file",
            "file": {"file_data": media.data_url(part), "filename": part.title or media.UNNAMED},
        }
    if part.kind == "document" and part.owner == "openai":
        return {"type": "file", "file": {"file_id": part.file_id, **name}}
    named = f"a file of {part.owner}" if part.file_id else "a URL"
    notes.refuse(part.at, f"chat completions take no {part.kind} as {named}")
    return None


def _own_thoughts(thoughts: list[WireThought]) -> dict[str, Any]:
    seals = [thought.seal.raw for thought in thoughts if thought.seal]
    return {name: value for raw in seals for name, value in raw.items()}


def _note_order(blocks: tuple[WireBlock, ...], notes: Notes) -> None:
    order = {WireThought: 0, WireText: 1, WireCall: 2}
    last = 0
    for block in blocks:
        if isinstance(block, WireThought) and block.seal and block.seal.of:
            # Says itself where it belongs.
            continue
        rank = order.get(type(block), last)
        if rank < last:
            notes.lose(f"{block.at}.position", "chat completions have thoughts, then text, then calls")
        last = max(last, rank)
