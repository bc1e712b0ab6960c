"""The performance goals, each checked with figures of the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.cells import LIMIT, ONE, OURS
from benchmarks.measuring import Result

_AT_LEAST_ONCE = ("arq", "dramatiq", "faststream, streams")
"""Peers that keep a task until it is done. The others, as set up here, lose a task when its worker dies."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and what was measured."""

    text: str
    wanted: str

    found: float | None
    """The measured figure; None when a part of it is missing."""

    met: bool | None
    """Whether it was reached; None when that is unknown."""


def goals(results: Sequence[Result]) -> list[Goal]:
    """Return every goal for which the results have figures."""
    found = [
        *_dag(results),
        *_workers(results),
        *_latency(results),
        *_others(results),
        *_growth(results),
        *_command(results),
    ]
    return [goal for goal in found if goal.found is not None or goal.met is not None]


def _of(results: Sequence[Result], suite: str, case: str, system: str, name: str = "value") -> float | None:
    for one in results:
        if (one.cell.suite, one.cell.case, one.cell.system) == (suite, case, system):
            return one.median(name)
    return None


def _cases(results: Sequence[Result], suite: str) -> list[str]:
    return list(dict.fromkeys(one.cell.case for one in results if one.cell.suite == suite))


def _is_peer(system: str) -> bool:
    return not system.startswith((OURS, "by hand", "raw"))


def _best_peer(
    results: Sequence[Result], suite: str, case: str, starts: tuple[str, ...] = ("",)
) -> float | None:
    found = [
        median
        for one in results
        if (one.cell.suite, one.cell.case) == (suite, case)
        and _is_peer(one.cell.system)
        and one.cell.system.startswith(starts)
        and (median := one.median()) is not None
    ]
    return max(found, default=None)


def _at_most(text: str, above: float | None, below: float | None, limit: float) -> Goal:
    """Return the goal that `above` is at most `limit` times `below`."""
    ratio = above / below if above is not None and below else None
    return Goal(text, f"at most {limit:g}", ratio, None if ratio is None else ratio <= limit)


def _at_least(text: str, above: float | None, below: float | None, limit: float) -> Goal:
    ratio = above / below if above is not None and below else None
    return Goal(text, f"at least {limit:g}", ratio, None if ratio is None else ratio >= limit)


def _dag(results: Sequence[Result]) -> Iterator[Goal]:
    for case in _cases(results, "dag"):
        ours = _of(results, "dag", case, ONE)
        most = 2.5 if case.startswith("chain") else 3.5
        yield _at_most(f"{case}: {LIMIT} / ours", _of(results, "dag", case, LIMIT), ours, most)
        yield _at_least(f"{case}: ours / best peer", ours, _best_peer(results, "dag", case), 1.0)
        on_postgres = f"{OURS}, PostgreSQL, 1 worker"
        limit = _of(results, "dag", case, f"{LIMIT}, PostgreSQL")
        yield _at_most(
            f"{case}: {LIMIT} / ours, PostgreSQL", limit, _of(results, "dag", case, on_postgres), most
        )
        if not case.startswith("chain"):
            slow = _best_peer(results, "dag", case, ("celery", "dbos"))
            yield _at_least(f"{case}: ours / best of celery and dbos", ours, slow, 10.0)


def _workers(results: Sequence[Result]) -> Iterator[Goal]:
    for case in _cases(results, "workers"):
        two, one = (_of(results, "workers", case, system) for system in (f"{OURS}, 2 workers", ONE))
        yield _at_least(f"{case}: 2 workers / 1 worker", two, one, 1.6)


def _latency(results: Sequence[Result]) -> Iterator[Goal]:
    for name, words, most in (("value", "p50", 1.5), ("p99", "p99", 3.0)):
        ours, raw = (_of(results, "latency", "idle", system, name) for system in (OURS, "raw hop"))
        yield _at_most(f"latency {words}: ours / raw hop", ours, raw, most)


def _others(results: Sequence[Result]) -> Iterator[Goal]:
    for case in _cases(results, "queue"):
        ours = _of(results, "queue", case, f"{OURS}, bus")
        yield _at_least(f"queue, {case}: our bus / best peer", ours, _best_peer(results, "queue", case), 2.0)
        careful = _best_peer(results, "queue", case, _AT_LEAST_ONCE)
        yield _at_least(f"queue, {case}: our bus / best peer that is at least once", ours, careful, 2.0)
    for case in _cases(results, "git"):
        bare, ours = (_of(results, "git", case, system) for system in ("git fast-import", OURS))
        yield _at_most(f"artifact store, {case}: fast-import / ours", bare, ours, 2.0)


def _growth(results: Sequence[Result]) -> Iterator[Goal]:
    for case in _cases(results, "growth"):
        mine = [one for one in results if one.cell.suite == "growth" and one.cell.case == case]
        # The smallest size is left out: its time is mostly that from the submission to the first task.
        counted = [one for one in mine if one.cell.unit != "s"][-3:] if len(mine) > 3 else mine
        medians = [one.median() for one in counted]
        if any(one.cell.unit == "s" for one in mine):
            continue
        known = [median for median in medians if median]
        if len(known) < len(medians):
            yield Goal(f"growth, {case}: quickest / slowest", "at most 1.5", None, False)
        elif len(known) > 1:
            yield _at_most(f"growth, {case}: quickest / slowest", max(known), min(known), 1.5)


def _command(results: Sequence[Result]) -> Iterator[Goal]:
    for case in _cases(results, "command"):
        for start, most in (("multi-agent --help", 0.3), ("multi-agent status", 0.5)):
            if case.startswith(start):
                yield _at_most(f"{case}, seconds", _of(results, "command", case, OURS), 1.0, most)
