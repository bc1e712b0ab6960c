"""How dead letters are shown: no control character of a message reaches a terminal."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import asdict
from typing import Any

import click

from orchestrator.scheduling.dead_letters import StoredDeadLetter

dead_letter_argument = click.argument("dead_letter_id", metavar="ID", type=click.IntRange(1))

_HEX_COLUMNS = 32


def as_json_value(dead_letter: StoredDeadLetter) -> dict[str, Any]:
    """A dead letter for programs; its bytes are in base64."""
    return {**asdict(dead_letter), "raw": base64.b64encode(dead_letter.raw).decode()}


def print_ascii_json(value: Any) -> None:
    """Print one JSON document in ASCII."""
    click.echo(json.dumps(value, indent=2))


def shown_bytes(raw: bytes) -> str:
    """UTF-8 as printable text, anything else in hexadecimal."""
    try:
        return printable(raw.decode())
    except UnicodeDecodeError:
        return "\n".join(raw[at : at + _HEX_COLUMNS].hex(" ") for at in range(0, len(raw), _HEX_COLUMNS))


def printable(text: str) -> str:
    """The text with everything escaped that a terminal might obey; line ends stay."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def about(dead_letter: StoredDeadLetter) -> str:
    """The task or the stream that a dead letter is about."""
    if dead_letter.task_id:
        return f"task {dead_letter.workflow_id} {dead_letter.task_id}"
    return f"message {dead_letter.stream}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
