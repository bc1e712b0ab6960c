"""The report that the harness leaves: what happened in each run, event by event. Nothing in it is trusted."""

from __future__ import annotations

import zlib
from typing import Final

from pydantic import BaseModel, Field

from contracts.base.processes.bounded_call import SMALL

_MAX_REPORT_BYTES: Final = 64 * 1024 * 1024


class Event(BaseModel):
    """One step that a run reported."""

    kind: str
    id: str = ""
    ids: list[str] = []
    when: str = ""
    outcome: str = ""
    message: str = ""
    trace: str = ""
    path: str = ""
    line: int = Field(default=0, ge=0)
    slow: bool = False
    by: str = ""
    changed: list[str] = []
    exit_code: int | None = None
    coverage: float | None = Field(default=None, ge=0, le=100)


class Run(BaseModel):
    """One run of a test program."""

    exit_code: int
    events: list[Event]
    missing: bool = False
    rewritten: list[str] = []


class Report(BaseModel):
    """All runs of a session."""

    nonce: str
    runs: list[Run]


def report_size(raw: bytes) -> int:
    """Return how many bytes there are to read, counted up to a little more than SMALL."""
    try:
        return len(zlib.decompressobj().decompress(raw, SMALL + 1))
    except zlib.error:
        return len(raw)


def unpacked(raw: bytes) -> bytes:
    """Return the JSON of a report, of a large one the beginning. Raises zlib.error."""
    return zlib.decompressobj().decompress(raw, _MAX_REPORT_BYTES)
