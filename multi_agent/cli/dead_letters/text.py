"""How dead letters are shown."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

import click

from contracts.base.timestamps import local_time
from orchestrator.scheduling.dead_letters import StoredDeadLetter

dead_letter_argument = click.argument("dead_letter_id", metavar="ID", type=click.IntRange(1))

_HEX_COLUMNS = 32


def as_json_value(dead_letter: StoredDeadLetter) -> dict[str, Any]:
    """A dead letter for programs; its bytes are in base64."""
    return {**asdict(dead_letter), "raw": base64.b64encode(dead_letter.raw).decode()}


def shown_bytes(raw: bytes) -> str:
    """UTF-8 as text, anything else in hexadecimal."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "\n".join(raw[at : at + _HEX_COLUMNS].hex(" ") for at in range(0, len(raw), _HEX_COLUMNS))


def about(dead_letter: StoredDeadLetter) -> str:
    """The task or the stream that a dead letter is about."""
    if dead_letter.task_id:
        return f"task {dead_letter.workflow_id} {dead_letter.task_id}"
    return f"message {dead_letter.stream}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as local time."""
    return local_time(seconds)
