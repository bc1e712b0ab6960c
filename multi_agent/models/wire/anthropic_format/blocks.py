"""Blocks of Anthropic messages, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from multi_agent.models.wire import media
from multi_agent.models.wire.canonical import (
    WireBlock,
    WireCall,
    WireMedia,
    WireResult,
    WireSeal,
    WireText,
    WireThought,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.seals import unwrapped, wrapped

_TTLS: Final = frozenset({"5m", "1h"})
_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF: Final = "application/pdf"


def read_content(holder: Fields, key: str) -> list[WireBlock]:
    """Content: a text, or a list of blocks."""
    if isinstance(text := holder.raw(key), str):
        return [WireText(text, at=holder.at(key))]
    return [block for part in holder.children(key) if (block := read_block(part)) is not None]


def read_block(part: Fields) -> WireBlock | None:
    """One block; None for a kind that this gateway does not know, which is noted."""
    kind = part.need("type", str)
    read = _READERS.get(kind)
    if read is None:
        part.everything()
        part.notes.refuse(part.path, f"blocks of type {kind!r} are known to Anthropic alone")
        return None
    return read(part)


def read_cache(part: Fields) -> str:
    """How long what leads up to here is to be cached."""
    mark = part.child("cache_control")
    if mark is None:
        return ""
    mark.ignore("type")
    return mark.text("ttl") or "default"


def marked(part: dict[str, Any], cache: str, at: str, notes: Notes) -> dict[str, Any]:
    """A part with its mark for the cache."""
    if not cache:
        return part
    if cache not in {*_TTLS, "default"}:
        notes.lose(f"{at}.cache", f"anthropic keeps a cache for {' or '.join(sorted(_TTLS))}, not {cache}")
    ttl = {"ttl": cache} if cache in _TTLS else {}
    return {**part, "cache_control": {"type": "ephemeral", **ttl}}


def write_blocks(
    blocks: Iterable[WireBlock], notes: Notes, *, to_client: bool = False
) -> list[dict[str, Any]]:
    """Blocks as Anthropic has them; for a client with the seals of other services, for a service without."""
    written = (_written(block, notes, to_client=to_client) for block in blocks)
    return [block for block in written if block is not None]


def _read_text(part: Fields) -> WireText:
    return WireText(part.need("text", str), read_cache(part), at=part.path)


def _read_thought(part: Fields) -> WireThought:
    text = part.text("thinking")
    signature = part.text("signature")
    # An empty one is what a client was given for a thought that no service wants back.
    is_nobodys = part.has("signature") and not signature
    seal = unwrapped(signature) or (None if is_nobodys else WireSeal("anthropic", part.everything()))
    return WireThought(text, seal, at=part.path)


def _read_redacted(part: Fields) -> WireThought:
    part.need("data", str)
    return WireThought("", WireSeal("anthropic", part.everything()), at=part.path)


def _read_call(part: Fields) -> WireCall:
    arguments = json.dumps(part.need("input", dict), ensure_ascii=False)
    return WireCall(
        part.need("id", str), part.need("name", str), arguments, cache=read_cache(part), at=part.path
    )


def _read_result(part: Fields) -> WireResult:
    content: list[WireText | WireMedia] = []
    for block in read_content(part, "content"):
        if isinstance(block, WireText | WireMedia):
            content.append(block)
        else:
            part.notes.wrong(block.at, "a result holds texts, images and documents alone")
    is_error = part.take("is_error", bool) or False
    call_id = part.need("tool_use_id", str)
    return WireResult(call_id, tuple(content), is_error, cache=read_cache(part), at=part.path)


def _read_image(part: Fields) -> WireMedia | None:
    return _read_media(part, "image")


def _read_document(part: Fields) -> WireMedia | None:
    return _read_media(part, "document")


def _read_media(part: Fields, kind: Any) -> WireMedia | None:
    more = {"title": part.text("title"), "cache": read_cache(part), "at": part.path}
    source = part.child("source")
    if source is None:
        part.notes.wrong(part.at("source"), "required field is missing")
        return None
    match source.need("type", str):
        case "base64":
            data = media.check_data(source.need("data", str), source, "data")
            return WireMedia(kind, source.need("media_type", str), data, **more)
        case "text":
            source.ignore("media_type")
            return WireMedia(kind, media.TEXT, media.coded(source.need("data", str)), **more)
        case "url":
            return WireMedia(kind, url=source.need("url", str), **more)
        case "file":
            return WireMedia(kind, file_id=source.need("file_id", str), owner="anthropic", **more)
        case other:
            source.everything()
            part.notes.refuse(source.path, f"sources of type {other!r} are known to Anthropic alone")
            return None


_READERS: Final[Mapping[str, Callable[[Fields], WireBlock | None]]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "thinking": _read_thought,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_call,
    "tool_result": _read_result,
}


def _written(block: WireBlock, notes: Notes, *, to_client: bool) -> dict[str, Any] | None:
    match block:
        case WireText():
            return marked({"type": "text", "text": block.text}, block.cache, block.at, notes)
        case WireMedia():
            return _write_media(block, notes)
        case WireThought():
            return _write_thought(block) if to_client or block.seal else None
        case WireCall():
            called = {"type": "tool_use", "id": block.call_id, "name": block.name}
            return marked({**called, "input": _input(block, notes)}, block.cache, block.at, notes)
        case WireResult():
            return marked(_write_result(block, notes), block.cache, block.at, notes)


def _write_thought(block: WireThought) -> dict[str, Any]:
    if block.seal and block.seal.owner == "anthropic":
        return dict(block.seal.raw)
    signature = wrapped(block.seal) if block.seal else ""
    return {"type": "thinking", "thinking": block.text, "signature": signature}


def _input(call: WireCall, notes: Notes) -> dict[str, Any]:
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    notes.lose(call.at, "arguments that are no JSON object; they are sent as text")
    return {"unreadable": call.arguments}


def _write_result(result: WireResult, notes: Notes) -> dict[str, Any]:
    match result.content:
        case (WireText(cache="") as only,):
            content: Any = only.text
        case several:
            content = write_blocks(several, notes)
    error = {"is_error": True} if result.is_error else {}
    return {"type": "tool_result", "tool_use_id": result.call_id, "content": content, **error}


def _write_media(block: WireMedia, notes: Notes) -> dict[str, Any] | None:
    source = _source(block)
    if source is None:
        named = block.media_type or f"files of {block.owner}"
        notes.refuse(block.at, f"anthropic takes no {block.kind} of this kind ({named})")
        return None
    title = {"title": block.title} if block.title and block.kind == "document" else {}
    if block.title and not title:
        notes.lose(f"{block.at}.title", "anthropic has no names for images")
    return marked({"type": block.kind, "source": source, **title}, block.cache, block.at, notes)


def _source(block: WireMedia) -> dict[str, Any] | None:
    if block.file_id:
        return {"type": "file", "file_id": block.file_id} if block.owner == "anthropic" else None
    if block.url:
        return {"type": "url", "url": block.url} if block.url.startswith(("http://", "https://")) else None
    if block.kind == "document" and block.media_type == media.TEXT:
        text = media.decoded(block)
        return None if text is None else {"type": "text", "media_type": media.TEXT, "data": text}
    known = _IMAGES if block.kind == "image" else {_PDF}
    if block.media_type not in known:
        return None
    return {"type": "base64", "media_type": block.media_type, "data": block.data}
