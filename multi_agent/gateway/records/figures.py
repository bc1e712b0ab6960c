"""What many records say together. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multi_agent.gateway.records.record import RequestRecord


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """How fast a model answered."""

    model: str
    requests: int
    """Those that were answered to their end."""
    first_ms_p50: float | None
    """Until the first bytes, of streams alone."""
    first_ms_p99: float | None
    ms_p50: float | None
    ms_p99: float | None
    tokens_per_second_p50: float | None


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """What went wrong in the same way."""

    failure: str
    """Its kind, or `cancelled`."""
    status: int
    model: str
    requests: int
    last_at: float
    last_request_id: str
    last_reason: str


def by_model(records: Iterable[RequestRecord]) -> list[ModelFigures]:
    """Figures of each model that answered, the one with the slowest answers first."""
    groups: dict[str, list[RequestRecord]] = defaultdict(list)
    for record in records:
        if record.model and record.outcome == "ok":
            groups[record.model].append(record)
    found = [_figures(model, group) for model, group in groups.items()]
    return sorted(found, key=lambda one: -(one.ms_p99 or 0.0))


def slowest(records: Iterable[RequestRecord], most: int) -> list[RequestRecord]:
    """The requests that took longest, of those for which a model was asked."""
    return sorted((one for one in records if one.model), key=lambda one: -one.ms)[:most]


def error_classes(records: Iterable[RequestRecord]) -> list[ErrorClass]:
    """What went wrong, the most frequent first."""
    groups: dict[tuple[str, int, str], list[RequestRecord]] = defaultdict(list)
    for record in records:
        if record.outcome != "ok":
            groups[record.outcome, record.status, record.model].append(record)
    found = [
        ErrorClass(*way, len(group), last.at, last.request_id, last.reason)
        for way, group in groups.items()
        for last in [max(group, key=lambda record: record.at)]
    ]
    return sorted(found, key=lambda one: (-one.requests, -one.last_at))


def percentile(values: Iterable[float | None], part: float) -> float | None:
    """The smallest value that at least `part` of them do not exceed; None without any."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    rank = -(-len(known) * round(part * 1_000) // 1_000)
    return known[max(rank, 1) - 1]


def _figures(model: str, group: Sequence[RequestRecord]) -> ModelFigures:
    firsts = [record.first_ms for record in group if record.stream]
    whole = [record.ms for record in group]
    return ModelFigures(
        model,
        len(group),
        percentile(firsts, 0.5),
        percentile(firsts, 0.99),
        percentile(whole, 0.5),
        percentile(whole, 0.99),
        percentile((record.tokens_per_second for record in group), 0.5),
    )
