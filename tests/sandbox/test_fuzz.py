"""A short run of the tar fuzzer, and that it would notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox_runner.engine.tar_reader import read_tar
from tests.sandbox import fuzz

REASONS = {
    "checksum", "device", "duplicate", "encoding", "fifo", "format", "hard_link", "number", "path", "pax",
    "size_lie", "sparse", "special_bits", "symbolic_link", "too_many_bytes", "too_many_members",
    "trailing_data", "truncated", "twins", "type", "unreadable",
}  # fmt: skip


def test_no_stream_surprises() -> None:
    found = fuzz.fuzz(range(2_500), seed=7)
    assert found.wrong == []
    assert set(found.ends) == {"read", *REASONS}, "the streams reach every way to end"


def test_a_stream_can_be_made_again() -> None:
    assert fuzz.make_stream(3, 14) == fuzz.make_stream(3, 14)
    assert fuzz.make_stream(3, 14) != fuzz.make_stream(3, 15)


def _crash(*_: Any, **__: Any) -> dict[str, bytes]:
    raise IndexError("somewhere")


def _escape(*_: Any, **__: Any) -> dict[str, bytes]:
    return {"../x": b""}


def _write(*arguments: Any, **options: Any) -> dict[str, bytes]:
    Path("/dev/null").write_text("")
    return read_tar(*arguments, **options)


@pytest.mark.parametrize(
    ("reader", "complaint"), [(_crash, "IndexError"), (_escape, "../x"), (_write, "open ('/dev/null'")]
)
def test_a_reader_that_fails_is_noticed(
    reader: Callable[..., dict[str, bytes]], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "read_tar", reader)
    found = fuzz.fuzz(range(20), seed=7)
    assert len(found.wrong) == 20
    assert complaint in found.wrong[0]


def test_time_and_memory_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "STREAM_SECONDS", -1.0)
    monkeypatch.setattr(fuzz, "MEMORY_BYTES", -1)
    found = fuzz.fuzz(range(1), seed=7)
    assert len(found.wrong) == 2
