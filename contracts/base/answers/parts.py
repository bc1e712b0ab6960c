"""The part of a document that is wrong, so that a model is asked for that alone, and the whole with it.

A long answer with one wrong entry is not written again: that costs what the first one did, and what was
right may become wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final, TypeAlias

from contracts.base.errors import InvalidDocument, Problem
from contracts.base.model_answer import parse_answer
from contracts.base.strict_json import json_path

MOST_PART: Final = 0.5
"""A part that is more of the whole is no saving."""
_LEAST_WHOLE: Final = 2_000
"""Characters of JSON that are worth it."""
_STEP: Final = re.compile(r"\.([A-Za-z_$][A-Za-z0-9_$-]*)|\[(\d{1,9})\]")

_Steps: TypeAlias = tuple[str | int, ...]


def failing_part(answer: str, problems: Sequence[Problem]) -> str:
    """The JSON path of the object or list in an answer that has all the problems; "" for the whole answer."""
    try:
        whole = parse_answer(answer)
    except InvalidDocument:
        return ""
    steps = _common([_steps(problem.path) for problem in problems])
    while steps and not isinstance(_at(whole, steps), dict | list):
        steps = steps[:-1]
    size = len(json.dumps(whole))
    if not steps or size < _LEAST_WHOLE or len(json.dumps(_at(whole, steps))) > MOST_PART * size:
        return ""
    return json_path(steps)


def with_part(whole: str, path: str, answer: str) -> str:
    """A whole answer with what was answered in place of its part; the latter alone where it is none.

    path: as `failing_part` gave it for the whole. Of an answer with every field of the whole all is taken.
    """
    document: Any = parse_answer(whole)
    try:
        found = parse_answer(answer)
    except InvalidDocument:
        return answer
    if isinstance(found, dict) and isinstance(document, dict) and document.keys() <= found.keys():
        return answer
    *before, last = _steps(path)
    _at(document, before)[last] = found
    return json.dumps(document, ensure_ascii=False)


def part_wanted(path: str) -> str:
    """How a model is asked for it."""
    return (
        f"Everything else is kept as it is. Answer with the corrected value of `{path}` alone, as one JSON "
        "document and nothing else; with the whole document if something else must change too."
    )


def _steps(path: str) -> _Steps:
    """The steps of a path, as far as they can be followed."""
    found: list[str | int] = []
    position = 1
    while step := _STEP.match(path, position):
        found.append(step[1] if step[1] is not None else int(step[2]))
        position = step.end()
    return tuple(found)


def _common(paths: Sequence[_Steps]) -> _Steps:
    """How all of them begin."""
    if not paths:
        return ()
    alike = (len(set(steps)) == 1 for steps in zip(*paths, strict=False))
    return paths[0][: sum(takewhile(bool, alike))]


def _at(document: Any, steps: Sequence[str | int]) -> Any:
    """What stands there; None for nothing."""
    for step in steps:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document
