"""Strict JSON: what is no honest document is refused with a clear reason."""

from __future__ import annotations

import pytest

from contracts.base.errors import InvalidDocument
from contracts.base.strict_json import MAX_PROBLEMS, json_path, read_json, shown, to_json, validate
from contracts.documents.reports import CodeArtifacts


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON: Expecting value at line 1 column 1"),
        (b'{"a": 1,\n "b" 2}', "at line 2 column 6"),
        (b'{"a": 1} {}', "not JSON: Extra data"),
        (b'{"a": 1, "a": 2}', "the key 'a' appears twice in one object"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' appears twice"),
        (b"[NaN]", "NaN is no JSON value"),
        (b"[-Infinity]", "-Infinity is no JSON value"),
        (b"[1e999]", "the number '1e999' is too large"),
        (b"[" + b"9" * 6_000 + b"]", "digits"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[" * 500 + b"]" * 500, "recursion limit exceeded"),
        (rb'["\ud800"]', "hex escape"),
        (b'["\xe9"]', "not UTF-8: byte 0xe9 at offset 2"),
        ('{"ü": 1}'.encode("utf-16"), "not UTF-8: byte 0xff at offset 0"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("\ud800", "lone surrogate at character 0"),
        (b" " * 101, "larger than the limit of 100 bytes"),
    ],
)
def test_refused(raw: bytes | str, reason: str) -> None:
    limit = 100 if raw == b" " * 101 else 1_000_000
    with pytest.raises(InvalidDocument) as refused:
        read_json(raw, "code", max_bytes=limit)
    assert reason in str(refused.value)
    assert [problem.path for problem in refused.value.problems] == ["$"]


def test_ordinary_json_is_read() -> None:
    assert read_json('{"ü": [1, 2.5, null, true]}', "code") == {"ü": [1, 2.5, None, True]}


def test_paths_and_values_are_escaped() -> None:
    assert json_path(["items", 2, "task_id"]) == "$.items[2].task_id"
    assert json_path(["a b", "\x1b[31m"]) == r"$['a b']['\x1b[31m']"
    assert len(json_path(["x" * 1_000 + " "])) < 100
    assert shown("\x1b[31m") == r"'\x1b[31m'"
    assert len(shown("x" * 1_000)) < 100


def test_problems_are_bounded() -> None:
    raw = to_json(
        {"summary": "s", "files": [{"path": "a", "content": n} for n in range(2 * MAX_PROBLEMS)]}, "code"
    )
    with pytest.raises(InvalidDocument) as refused:
        validate(CodeArtifacts, raw, "code")
    assert len(refused.value.problems) <= MAX_PROBLEMS + 1


@pytest.mark.parametrize("value", [{"a": {1, 2}}, {"a": float("nan")}, {"a": "\ud800"}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidDocument, match="cannot be written as JSON"):
        to_json(value, "todo")
