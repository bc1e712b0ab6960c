"""Server-sent events, as all formats stream: bytes to JSON and back."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import Any, Final

from multi_agent.models.wire.canonical import FormatName
from multi_agent.models.wire.chat_format.streams import DONE

_NAMED: Final = frozenset({"anthropic", "responses"})
"""Formats whose events have their type as a name too."""


class EventDecoder:
    """Finds events in bytes that come in any parts. Raises ValueError for data that is no JSON object."""

    def __init__(self, most_bytes: int = 8_000_000) -> None:
        """most_bytes: of one event; feeding more of it raises ValueError."""
        self.is_done = False
        """Whether the mark of the end has come that some formats have."""
        self._most_bytes = most_bytes
        self._has_begun = False
        self._left: list[bytes] = []
        """Parts of a line that has not ended."""
        self._data: list[bytes] = []
        self._size = 0
        """Bytes of the event that has not ended."""
        self._after_return = False

    def feed(self, part: bytes) -> list[dict[str, Any]]:
        """The events that are whole by now; what marks the end of a stream is none."""
        if not part:
            return []
        if self._after_return:
            part = part.removeprefix(b"\n")
        self._after_return = part.endswith(b"\r")
        found = (self._added(line) for line in part.splitlines(keepends=True))
        return [event for event in found if event is not None]

    def end(self) -> list[dict[str, Any]]:
        """The event that was not ended by an empty line."""
        return self.feed(b"\n\n")

    def _added(self, line: bytes) -> dict[str, Any] | None:
        self._size += len(line)
        if self._size > self._most_bytes:
            raise ValueError(f"an event has more than {self._most_bytes:,} bytes")
        self._left.append(line)
        if not line.endswith((b"\n", b"\r")):
            return None
        whole, self._left = b"".join(self._left).rstrip(b"\r\n"), []
        return self._line(whole if self._has_begun else whole.removeprefix(BOM_UTF8))

    def _line(self, line: bytes) -> dict[str, Any] | None:
        self._has_begun = True
        if line:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif not self._data:
                self._size = 0
            return None
        data, self._data, self._size = b"\n".join(self._data).decode(), [], 0
        self.is_done |= data == DONE
        if not data or data == DONE:
            return None
        event = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError("an event is no JSON object")
        return event


class EventWriter:
    """Writes the events of one stream as bytes."""

    def __init__(self, name: FormatName, *, as_list: bool = False) -> None:
        """as_list: as the entries of one JSON list instead, which only Google's callers ask for."""
        self._name = name
        self._as_list = as_list
        self._before = b"["

    def write(self, events: Iterable[dict[str, Any]]) -> bytes:
        """Events."""
        return b"".join(map(self._written, events))

    def end(self, *, has_failed: bool = False) -> bytes:
        """What follows the last event."""
        if self._as_list:
            return b"]" if self._before != b"[" else b"[]"
        return b"" if has_failed else ended(self._name)

    def _written(self, event: dict[str, Any]) -> bytes:
        if not self._as_list:
            return encoded(self._name, event)
        before, self._before = self._before, b",\r\n"
        return before + as_bytes(event)


def encoded(name: FormatName, event: dict[str, Any]) -> bytes:
    """An event as bytes."""
    data = b"data: " + as_bytes(event) + b"\n\n"
    return f"event: {event.get('type')}\n".encode() + data if name in _NAMED else data


def as_bytes(body: dict[str, Any]) -> bytes:
    """JSON as bytes. Half a character, as some services stream them, stays an escape: UTF-8 has none."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()


def ended(name: FormatName) -> bytes:
    """What follows the last event of an answer that did not fail."""
    return f"data: {DONE}\n\n".encode() if name == "chat" else b""
