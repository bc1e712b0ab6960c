"""Calls as text: which are calls, and which only look like some."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.base.errors import InvalidDocument
from contracts.ports.content import ToolCall
from contracts.ports.text_form import blocks_in, looks_like_call

TAGGED = '<tool_call>{"name": "list", "arguments": {}}</tool_call>'
MANUAL = f"Write <tool_call>, then JSON:\n{TAGGED}"
WRITE = {"tool": "write", "arguments": {"path": "manual.md", "content": MANUAL}}
READ = {"tool": "read", "arguments": {"path": "a.txt"}}


def calls_in(text: str) -> list[tuple[str, dict[str, Any] | None]]:
    return [(block.name, block.parsed) for block in blocks_in(text) if isinstance(block, ToolCall)]


@pytest.mark.parametrize(
    "document",
    [
        {"thought": "so", "calls": [WRITE]},
        {"thought": "<tool_call> is explained", "calls": [WRITE, READ]},
        [WRITE, READ],
        WRITE,
    ],
)
@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "I write {}"])
def test_a_tag_in_a_files_content_is_no_call(document: Any, around: str) -> None:
    expected = document if isinstance(document, list) else document.get("calls", [document])
    found = calls_in(around.replace("{}", json.dumps(document)))
    assert found == [(one["tool"], one["arguments"]) for one in expected]


def test_a_document_with_calls_beside_which_a_tag_is_named() -> None:
    document = json.dumps({"thought": "so", "calls": [READ]})
    assert calls_in(f"Without <tool_call>: {document}") == [("read", {"path": "a.txt"})]


def test_calls_between_tags_are_each_one() -> None:
    assert calls_in(f"I look. {TAGGED} {TAGGED}") == [("list", {}), ("list", {})]
    assert calls_in(f"<tool_call>{json.dumps(WRITE)}") == [("write", WRITE["arguments"])]
    with pytest.raises(InvalidDocument, match="not closed"):
        blocks_in(f'<tool_call>{{"name": "edit", "arguments": {{"path": </tool_call>{TAGGED}')


@pytest.mark.parametrize(
    "text",
    [
        "Done: replaced `{name}` and `{}`.",
        'It returns {"name": 1} now, or [].',
        "`f'{value:>10}'` is used: {name: str}",
        "All is done.",
        "{name} is replaced.",
    ],
)
def test_prose_with_braces_is_no_call(text: str) -> None:
    assert not looks_like_call(text)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "```json\n{",
        '[{"to',
        "{'tool': 'read'}",
        "I read: {'calls' : [",
        'So: {"thought": "I need',
        "<tool_call>list",
        'read {"parameters": {"path": "a"',
    ],
)
def test_a_call_that_was_meant_is_no_prose(text: str) -> None:
    assert looks_like_call(text)
