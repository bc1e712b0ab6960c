"""Which part of an answer is asked for again, and how the whole is put together."""

from __future__ import annotations

import json

import pytest

from contracts.base.answers.parts import failing_part, with_part
from contracts.base.errors import Problem

ENTRIES = [{"name": f"entry {number}", "text": "word " * 200, "tags": ["a", 5]} for number in range(4)]
WHOLE = json.dumps({"title": "t", "entries": ENTRIES})


@pytest.mark.parametrize(
    ("paths", "part"),
    [
        (["$.entries[2].tags[1]"], "$.entries[2].tags"),
        (["$.entries[2].tags[1]", "$.entries[2].name"], "$.entries[2]"),
        (["$.entries[2].absent"], "$.entries[2]"),
        (["$.entries[2].tags[1]", "$.entries[3].name"], ""),
        (["$.title"], ""),
        (["$"], ""),
        (["$.entries[9].name"], ""),
        (["$.entries[1]['odd name'].x"], "$.entries[1]"),
        ([], ""),
    ],
)
def test_the_part_has_all_problems_and_is_small(paths: list[str], part: str) -> None:
    assert failing_part(f"Here: {WHOLE}", [Problem(path, "wrong") for path in paths]) == part


def test_a_short_answer_is_asked_for_as_a_whole() -> None:
    assert failing_part('{"entries": [{"name": 1}, 2]}', [Problem("$.entries[0].name", "wrong")]) == ""
    assert failing_part("no answer", [Problem("$.entries[0].name", "wrong")]) == ""


def test_a_part_takes_its_place_and_nothing_else_changes() -> None:
    put = json.loads(with_part(WHOLE, "$.entries[2].tags", "```json\n[1, 2]\n```"))
    assert put["entries"][2] == {**ENTRIES[2], "tags": [1, 2]}
    assert put["entries"][:2] + put["entries"][3:] == [*ENTRIES[:2], ENTRIES[3]]


@pytest.mark.parametrize("answer", ['{"title": "new", "entries": [], "more": 1}', "nothing that can be read"])
def test_a_whole_answer_counts_as_such_and_so_does_none(answer: str) -> None:
    assert with_part(WHOLE, "$.entries[2]", answer) == answer
