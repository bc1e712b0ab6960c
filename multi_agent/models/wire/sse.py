"""Server-sent events, as all formats stream: bytes to JSON and back."""

from __future__ import annotations

import json
from typing import Any, Final

from multi_agent.models.wire.canonical import FormatName
from multi_agent.models.wire.chat_format.streams import DONE

_NAMED: Final = frozenset({"anthropic", "responses"})
"""Formats whose events have their type as a name too."""


class EventDecoder:
    """Finds events in bytes that come in any parts. Raises ValueError for data that is no JSON object."""

    def __init__(self, most_bytes: int = 8_000_000) -> None:
        """most_bytes: of one event; feeding more of it raises ValueError."""
        self._most_bytes = most_bytes
        self._left = b""
        self._data: list[str] = []

    def feed(self, part: bytes) -> list[dict[str, Any]]:
        """The events that are whole by now; what marks the end of a stream is none."""
        *lines, self._left = (self._left + part).replace(b"\r\n", b"\n").split(b"\n")
        if len(self._left) > self._most_bytes:
            raise ValueError(f"an event has more than {self._most_bytes:,} bytes")
        return [event for line in lines if (event := self._line(line.decode())) is not None]

    def end(self) -> list[dict[str, Any]]:
        """The event that was not ended by an empty line."""
        return self.feed(b"\n\n")

    def _line(self, line: str) -> dict[str, Any] | None:
        if line:
            field, _, value = line.partition(":")
            if field == "data":
                self._data.append(value.removeprefix(" "))
            return None
        data, self._data = "\n".join(self._data), []
        if not data or data == DONE:
            return None
        event = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError("an event is no JSON object")
        return event


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
