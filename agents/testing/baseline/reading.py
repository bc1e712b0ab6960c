"""Reads what the plugin in a session of pytest wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from contracts.base.text import bounded, flowing
from contracts.documents.baseline import MAX_FAILING, BaselineFailure
from contracts.documents.failure import MAX_ERROR

_WORST: Final = ("failed", "skipped", "passed")
_MAX_ID: Final = 1_000


def read_results(raw: bytes) -> dict[str, Any]:
    """The fields of a Baseline that say what became of each test; {} when no session of pytest ran.

    A test with several outcomes, as one that passed and could not be cleaned up, has the worst.
    """
    outcomes: dict[str, str] = {}
    errors: dict[str, str] = {}
    broken: dict[str, str] = {}
    found, sessions = 0, False
    for kind, what, error in _entries(raw):
        sessions = True
        if kind == "found" and isinstance(what, int) and not isinstance(what, bool):
            found += max(0, what)
        elif kind == "not_loaded" and isinstance(what, str):
            broken.setdefault(what or ".", error)
        elif kind in _WORST and isinstance(what, str):
            known = outcomes.setdefault(what, kind)
            outcomes[what] = min(known, kind, key=_WORST.index)
            if kind == "failed":
                errors.setdefault(what, error)
    if not sessions:
        return {}
    return {
        "counted": True,
        "found": found,
        **{outcome: sum(one == outcome for one in outcomes.values()) for outcome in _WORST},
        "not_loaded": len(broken),
        "failing": _listed(errors),
        "broken": _listed(broken),
    }


def _entries(raw: bytes) -> Iterator[tuple[str, Any, str]]:
    for line in raw.splitlines():
        try:
            kind, what, error = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue  # cut off when time was up, or written by a test
        if isinstance(kind, str) and isinstance(error, str):
            yield kind, what, error


def _listed(errors: dict[str, str]) -> tuple[BaselineFailure, ...]:
    return tuple(
        BaselineFailure(test=bounded(test, _MAX_ID), error=bounded(flowing(error), MAX_ERROR))
        for test, error in list(errors.items())[:MAX_FAILING]
        if test
    )
