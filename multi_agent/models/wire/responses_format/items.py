"""Items of OpenAI responses, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from multi_agent.models.wire import media
from multi_agent.models.wire.canonical import (
    Role,
    WireBlock,
    WireCall,
    WireMedia,
    WireResult,
    WireSeal,
    WireText,
    WireThought,
    WireTurn,
    grouped,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.openai_shared import ERROR, read_cache, read_content
from multi_agent.models.wire.seals import unwrapped, wrapped

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_TEXTS: Final = frozenset({"input_text", "output_text", "text"})


def read_item(item: Fields) -> WireTurn:
    """An item as a turn, or as a part of one."""
    kind = item.text("type") or "message"
    read = _READERS.get(kind)
    if read is None:
        item.everything()
        item.notes.refuse(item.path, f"items of type {kind!r} are known to OpenAI's responses alone")
        return WireTurn("user", (), item.path)
    return read(item)


def write_items(turns: Iterable[WireTurn], notes: Notes) -> list[dict[str, Any]]:
    """Turns as items."""
    return [item for turn in turns for item in _written(turn, notes)]


def read_reasoning(item: Fields) -> WireThought:
    """What a model thought, and what its service wants back."""
    parts = [part for key in ("summary", "content") for part in item.children(key)]
    text = "\n\n".join(part.text("text") for part in parts)
    for part in parts:
        part.ignore("type")
    seal = unwrapped(item.text("encrypted_content")) or WireSeal("responses", item.everything())
    item.ignore("id", "status")
    return WireThought(text, seal, at=item.path)


def write_reasoning(thought: WireThought, item_id: str) -> dict[str, Any]:
    """A thought for a client, with the seal of whichever service."""
    if thought.seal and thought.seal.owner == "responses":
        return dict(thought.seal.raw)
    summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
    sealed = wrapped(thought.seal) if thought.seal else None
    return {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": sealed}


def read_part(part: Fields) -> WireBlock | None:
    """One part of a message; None for a kind that this gateway does not know, which is noted."""
    kind = part.need("type", str)
    if kind in _TEXTS:
        part.ignore("logprobs")
        if part.take("annotations", list):
            part.notes.lose(part.at("annotations"), "notes at a text are known to OpenAI alone")
        return WireText(part.need("text", str), read_cache(part), at=part.path)
    if kind == "refusal":
        return WireText(part.need("refusal", str), at=part.path)
    said = {"cache": read_cache(part), "at": part.path}
    if part.text("detail") not in ("", "auto"):
        part.notes.lose(part.at("detail"), "how closely to look is known to OpenAI alone")
    if kind == "input_image":
        if file_id := part.text("file_id"):
            return WireMedia("image", file_id=file_id, owner="openai", **said)
        return WireMedia("image", **media.of_url(part.need("image_url", str)), **said)
    if kind == "input_file":
        return _read_file(part, said)
    part.everything()
    part.notes.refuse(part.path, f"parts of type {kind!r} are known to OpenAI alone")
    return None


def _read_file(part: Fields, said: dict[str, str]) -> WireMedia:
    said = {**said, "title": media.title_of(part.text("filename"))}
    if file_id := part.text("file_id"):
        return WireMedia("document", file_id=file_id, owner="openai", **said)
    if url := part.text("file_url"):
        return WireMedia("document", url=url, **said)
    return WireMedia("document", **media.of_url(part.need("file_data", str)), **said)


def _read_message(item: Fields) -> WireTurn:
    role = item.need("role", str)
    if role not in _ROLES:
        item.notes.wrong(item.at("role"), f"must be one of {', '.join(_ROLES)}, got {role!r}")
    item.ignore("id", "status", "phase")
    return WireTurn(_ROLES.get(role, "user"), tuple(read_content(item, "content", read_part)), item.path)


def _read_call(item: Fields) -> WireTurn:
    item.ignore("id", "status")
    call_id, name = item.need("call_id", str), grouped(item.text("namespace"), item.need("name", str))
    return WireTurn("assistant", (WireCall(call_id, name, item.text("arguments"), at=item.path),), item.path)


def _read_output(item: Fields) -> WireTurn:
    item.ignore("id", "status")
    content = tuple(
        part for part in read_content(item, "output", read_part) if isinstance(part, WireText | WireMedia)
    )
    return WireTurn("user", (WireResult(item.need("call_id", str), content, at=item.path),), item.path)


def _read_thought(item: Fields) -> WireTurn:
    return WireTurn("assistant", (read_reasoning(item),), item.path)


_READERS: Final[Mapping[str, Callable[[Fields], WireTurn]]] = {
    "message": _read_message,
    "function_call": _read_call,
    "function_call_output": _read_output,
    "reasoning": _read_thought,
}


def _written(turn: WireTurn, notes: Notes) -> Iterator[dict[str, Any]]:
    if turn.role == "assistant":
        for block in turn.blocks:
            yield from _write_said(block, notes)
        return
    for result in turn.results:
        yield {"type": "function_call_output", "call_id": result.call_id, "output": _output(result, notes)}
    said = [block for block in turn.blocks if isinstance(block, WireText | WireMedia)]
    if said or not turn.results:
        yield {"type": "message", "role": turn.role, "content": _content(said, notes)}


def _write_said(block: WireBlock, notes: Notes) -> Iterator[dict[str, Any]]:
    match block:
        case WireText():
            yield {"type": "message", "role": "assistant", "content": _content([block], notes)}
        case WireThought(seal=WireSeal(raw=raw)):
            yield dict(raw)
        case WireCall():
            _note_marks(block, notes)
            called = {"call_id": block.call_id, "name": block.name, "arguments": block.arguments}
            yield {"type": "function_call", **called}
        case _:
            notes.refuse(block.at, "responses take no images or documents of an assistant")


def _output(result: WireResult, notes: Notes) -> Any:
    content = _content(list(result.content), notes)
    _note_marks(result, notes)
    if not result.is_error:
        return content
    notes.lose(f"{result.at}.is_error", f"responses have no errors of tools; {ERROR!r} stands before it")
    return f"{ERROR}{content}" if isinstance(content, str) else [_text(ERROR), *content]


def _content(parts: list[WireText] | list[WireText | WireMedia], notes: Notes) -> Any:
    for part in parts:
        _note_marks(part, notes)
    match parts:
        case []:
            return ""
        case [WireText(text=text)]:
            return text
        case several:
            written = (_part(part, notes) for part in several)
            return [part for part in written if part is not None]


def _note_marks(block: WireText | WireMedia | WireCall | WireResult, notes: Notes) -> None:
    if block.cache:
        notes.lose(f"{block.at}.cache", "services of responses keep a cache without marks")


def _text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def _part(part: WireText | WireMedia, notes: Notes) -> dict[str, Any] | None:
    if isinstance(part, WireText):
        return _text(part.text)
    if part.file_id and part.owner != "openai":
        notes.refuse(part.at, f"responses know no file of {part.owner}")
        return None
    own = {"file_id": part.file_id} if part.file_id else {}
    if part.kind == "image":
        if part.title:
            notes.lose(f"{part.at}.title", "responses have no names for images")
        url = {} if own else {"image_url": part.url or media.data_url(part)}
        return {"type": "input_image", "detail": "auto", **own, **url}
    name = {"filename": part.title} if part.title else {}
    if part.data:
        name = {"filename": part.title or media.UNNAMED}
        own = {"file_data": media.data_url(part)}
    return {"type": "input_file", **(own or {"file_url": part.url}), **name}
