"""Parts of Gemini's contents, both ways."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Iterator
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
    WireTurn,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.seals import signature, unwrapped_signature

_SIGNATURE: Final = "thoughtSignature"
_OUTPUTS: Final = ("output", "result")
"""Keys of a function's answer that hold all of it."""
_OWN_FILES: Final = "https://generativelanguage.googleapis.com/"
_LIKELY: Final = {"image": "image/jpeg", "document": "application/pdf"}
"""What a URL leads to that does not say it."""
_URLS: Final = ("http://", "https://")


class CallIds:
    """Gives ids to calls that have none, and finds them again for their results."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[tuple[str, str]] = []
        """Names and ids of calls without a result."""

    def of_call(self, name: str, call_id: str) -> str:
        self._count += 1
        call_id = call_id or f"call_{self._count}"
        self._waiting.append((name, call_id))
        return call_id

    def of_result(self, name: str, call_id: str) -> str:
        """The id of the call that a result is of; "" where there is none."""
        found = next(
            (one for one in self._waiting if call_id == one[1] or (not call_id and name == one[0])), None
        )
        if found is None:
            return call_id
        self._waiting.remove(found)
        return found[1]


def read_parts(content: Fields, ids: CallIds | None = None) -> list[WireBlock]:
    """Parts; with `ids` those of a request, whose calls get one each."""
    return [block for part in content.children("parts") if (block := _read_part(part, ids)) is not None]


def write_contents(turns: Iterable[WireTurn], notes: Notes) -> list[dict[str, Any]]:
    """Turns as contents. Results are a content of their own."""
    names: dict[str, str] = {}
    contents: list[dict[str, Any]] = []
    for turn in turns:
        names |= {call.call_id: call.name for call in turn.calls}
        answers = [_write_result(result, names, notes) for result in turn.results]
        others = [block for block in turn.blocks if not isinstance(block, WireResult)]
        if answers:
            contents.append({"role": "user", "parts": answers})
        if others or not answers:
            role = "model" if turn.role == "assistant" else "user"
            contents.append({"role": role, "parts": write_parts(others, notes)})
    return contents


def write_parts(
    blocks: Iterable[WireBlock], notes: Notes, *, to_client: bool = False
) -> list[dict[str, Any]]:
    """Blocks as parts; for a client with the seals of other services, for the service without."""
    return [part for block in blocks for part in _written(block, notes, to_client=to_client)]


def sealed(part: dict[str, Any], seal: WireSeal | None) -> dict[str, Any]:
    """A part with its signature, which is base64 whoever made it."""
    if seal is None:
        return part
    if seal.owner == "gemini":
        return {**part, **seal.raw}
    return {**part, _SIGNATURE: signature(seal)}


def _read_part(part: Fields, ids: CallIds | None) -> WireBlock | None:
    if call := part.child("functionCall"):
        return _read_call(call, part, ids)
    if answer := part.child("functionResponse"):
        return _read_result(answer, ids or CallIds(), part.path)
    if data := part.child("inlineData") or part.child("fileData"):
        return _read_media(data, part)
    seal = _read_seal(part)
    if not part.has("text") and not seal:
        left = ", ".join(part.left)
        part.everything()
        part.notes.refuse(part.path, f"parts with {left or 'nothing in them'} are known to Gemini alone")
        return None
    text = part.text("text")
    is_thought = part.take("thought", bool)
    return WireThought(text, seal, part.path) if is_thought else WireText(text, seal=seal, at=part.path)


def _read_call(call: Fields, part: Fields, ids: CallIds | None) -> WireCall:
    name, call_id = call.need("name", str), call.text("id")
    arguments = json.dumps(call.raw("args") or {}, ensure_ascii=False)
    identity = ids.of_call(name, call_id) if ids else call_id
    return WireCall(identity, name, arguments, _read_seal(part), at=part.path)


def _read_seal(part: Fields) -> WireSeal | None:
    if text := part.text(_SIGNATURE):
        return unwrapped_signature(text) or WireSeal("gemini", {part.spelled(_SIGNATURE): text})
    return None


def _read_media(source: Fields, part: Fields) -> WireMedia | None:
    media_type = source.text("mimeType")
    said = {"title": source.text("displayName"), "at": part.path}
    kind = media.kind_of(media_type) if media_type else "document"
    if kind is None:
        source.everything()
        part.notes.refuse(source.path, f"{media_type} is known to Gemini alone")
        return None
    if data := source.text("data"):
        return WireMedia(kind, media_type, media.check_data(data, source, "data"), **said)
    uri = source.need("fileUri", str)
    if uri.startswith(_OWN_FILES):
        return WireMedia(kind, media_type, file_id=uri, owner="gemini", **said)
    return WireMedia(kind, url=uri, **said)


def _read_result(answer: Fields, ids: CallIds, at: str) -> WireResult:
    name = answer.need("name", str)
    found = answer.need("response", dict)
    value: Any = found
    if len(found) == 1 and (key := next(iter(found))) in (*_OUTPUTS, "error"):
        value = found[key]
    texts = value if isinstance(value, list) and all(isinstance(one, str) for one in value) else [value]
    content: list[WireText | WireMedia] = [WireText(_as_text(one), at=at) for one in texts if one != ""]
    for part in answer.children("parts"):
        if isinstance(block := _read_part(part, None), WireMedia):
            content.append(block)
    call_id = ids.of_result(name, answer.text("id"))
    return WireResult(call_id, tuple(content), "error" in found and len(found) == 1, name, at=at)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _written(block: WireBlock, notes: Notes, *, to_client: bool) -> Iterator[dict[str, Any]]:
    if getattr(block, "cache", ""):
        notes.lose(f"{block.at}.cache", "Gemini keeps a cache without marks")
    seal = getattr(block, "seal", None)
    match block:
        case WireText(text=text):
            yield sealed({"text": text}, seal)
        case WireThought(text=text) if seal or to_client:
            yield sealed({"text": text, "thought": True}, seal)
        case WireCall():
            called = {"id": block.call_id, "name": block.name, "args": _arguments(block, notes)}
            yield sealed({"functionCall": called}, seal)
        case WireMedia():
            if (part := _write_media(block, notes)) is not None:
                yield part


def _arguments(call: WireCall, notes: Notes) -> dict[str, Any]:
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    notes.lose(call.at, "arguments that are no JSON object; they are sent as text")
    return {"unreadable": call.arguments}


def _write_media(block: WireMedia, notes: Notes) -> dict[str, Any] | None:
    title = {"displayName": block.title} if block.title else {}
    if block.data and block.media_type:
        return {"inlineData": {"mimeType": block.media_type, "data": block.data, **title}}
    if block.url.startswith(_URLS):
        guessed = mimetypes.guess_type(block.url.partition("?")[0])[0] or ""
        if media.kind_of(guessed) != block.kind:
            guessed = _LIKELY[block.kind]
            notes.lose(f"{block.at}.type", f"Gemini wants to know what is there; {guessed} is said")
        return {"fileData": {"mimeType": guessed, "fileUri": block.url, **title}}
    if block.owner == "gemini":
        kind = {"mimeType": block.media_type} if block.media_type else {}
        return {"fileData": {**kind, "fileUri": block.file_id, **title}}
    notes.refuse(block.at, f"Gemini knows no file of {block.owner or block.url[:20]}")
    return None


def _write_result(result: WireResult, names: dict[str, str], notes: Notes) -> dict[str, Any]:
    texts = [part.text for part in result.content if isinstance(part, WireText)]
    parts = [part for part in result.content if isinstance(part, WireMedia)]
    for marked in (result, *result.content):
        if marked.cache:
            notes.lose(f"{marked.at}.cache", "Gemini keeps a cache without marks")
    if list(result.content) != sorted(result.content, key=lambda part: isinstance(part, WireMedia)):
        notes.lose(f"{result.at}.content", "Gemini has texts before images and documents of a result")
    value: Any = texts if len(texts) > 1 else "".join(texts)
    answer: dict[str, Any] = {
        "id": result.call_id,
        "name": result.name or names.get(result.call_id, ""),
        "response": {"error" if result.is_error else "output": value},
    }
    written = [part for one in parts if (part := _write_media(one, notes)) is not None]
    return {"functionResponse": answer | ({"parts": written} if written else {})}
