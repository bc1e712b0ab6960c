"""What is read of a rollout's requests: counts and means, by stage."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Integer, Row, and_, case, cast, func, literal, select

from orchestrator.storage import tables as t

_c = t.rollout_requests.c
_all = t.rollout_requests.alias("all_stages").c
_OURS = _c.assigned != "legacy"
_THEIRS = _c.assigned != "multi_agent"
_ANSWERED = and_(_c.assigned == "multi_agent", _c.failing.is_not(True))


class OutcomeCount(NamedTuple):
    """How many requests that count as evidence were assigned and ended alike."""

    block: int
    percent: int
    shadow: int
    assigned: str
    centre: int
    legacy: bool | None
    multi_agent: bool | None
    requests: int


class ValueCount(NamedTuple):
    """How many outcomes of the multi-agent arm, of those that count, had a value."""

    measure: Literal["cost", "time", "rating", "failing"]
    block: int
    value: int
    """Tenths of the limit, tenths of the legacy arm's pace, 1 to 5, 0 or 1."""
    requests: int


class ArmSums(NamedTuple):
    """One arm."""

    requests: int
    ended: int
    succeeded: int
    seconds: float | None
    cost_usd: float | None
    costs_known: int
    iterations: float | None
    findings: int
    """In all stages: one may come when the next has begun."""
    findings_known: int
    rating: float | None
    ratings: int
    complaints: int
    failing: int


class Point(NamedTuple):
    """One arm in a block of requests that came one after the other."""

    at: float
    """When they came, in the mean; seconds since 1970."""
    arm: Literal["legacy", "multi_agent"]
    stage: int
    ended: int
    succeeded: int
    seconds: float | None


def read_outcomes(connection: Connection, rollout_id: str, stage: int) -> list[OutcomeCount]:
    """What counts as evidence in a stage."""
    columns = (
        _c.block,
        _c.percent,
        _c.shadow,
        _c.assigned,
        _c.centre,
        _c.legacy_success,
        _c.success,
    )
    query = select(*columns, func.count()).where(*_counted(rollout_id, stage)).group_by(*columns)
    return [OutcomeCount(*row) for row in connection.execute(query)]


def read_values(connection: Connection, rollout_id: str, stage: int) -> list[ValueCount]:
    """What the multi-agent arm's outcomes of a stage measured."""
    values: dict[Literal["cost", "time", "rating", "failing"], tuple[ColumnElement[Any], ColumnElement[bool]]]
    values = {
        "cost": (_c.cost_tenths, _OURS),
        "time": (_c.time_tenths, _OURS),
        "rating": (_c.rating, _ANSWERED),
        # What has not ended yet could be taken: else the first that fail would be all there is.
        "failing": (func.coalesce(cast(_c.failing, Integer), 0), _OURS),
    }
    found = []
    for measure, (value, whose) in values.items():
        query = (
            select(_c.block, value, func.count())
            .where(*_counted(rollout_id, stage), whose, value.is_not(None))
            .group_by(_c.block, value)
        )
        found += [ValueCount(measure, *row) for row in connection.execute(query)]
    return found


def read_arms(connection: Connection, rollout_id: str, stage: int | None = None) -> tuple[ArmSums, ArmSums]:
    """The legacy arm and the multi-agent arm in a stage, or in all."""
    where = [_c.rollout_id == rollout_id, *([_c.stage == stage] if stage is not None else [])]
    theirs = _sums(rollout_id, "legacy_", _THEIRS)
    ours = _sums(rollout_id, "", _ANSWERED)
    return (
        _plain(connection.execute(select(*theirs).where(*where, _THEIRS)).one()),
        _plain(connection.execute(select(*ours).where(*where, _OURS)).one()),
    )


def read_curves(connection: Connection, rollout_id: str) -> list[Point]:
    """Both arms by blocks, in their order."""
    found: list[Point] = []
    arms: tuple[tuple[Literal["legacy", "multi_agent"], str], ...] = (
        ("legacy", "legacy_"),
        ("multi_agent", ""),
    )
    for arm, prefix in arms:
        success, seconds = _c[f"{prefix}success"], _c[f"{prefix}seconds"]
        query = (
            select(
                _c.stage,
                func.avg(_c.begun_at),
                func.count(),
                func.sum(cast(success, Integer)),
                func.avg(seconds),
            )
            .where(_c.rollout_id == rollout_id, success.is_not(None))
            .group_by(_c.stage, _c.block)
        )
        found += [Point(at, arm, stage, *rest) for stage, at, *rest in connection.execute(query)]
    return sorted(found, key=lambda one: one.at)


def _counted(rollout_id: str, stage: int) -> tuple[ColumnElement[bool], ...]:
    return (_c.rollout_id == rollout_id, _c.stage == stage, _c.counts.is_(True))


def _plain(row: Row[Any]) -> ArmSums:
    """With numbers of Python: PostgreSQL's means of integers are decimals."""
    plain: list[Any] = [float(one) if isinstance(one, Decimal) else one for one in row]
    return ArmSums(*plain)


def _sums(rollout_id: str, prefix: str, answered: ColumnElement[bool]) -> tuple[ColumnElement[Any], ...]:
    success, cost, findings = _c[f"{prefix}success"], _c[f"{prefix}cost_usd"], _c[f"{prefix}findings"]
    rating = case((answered, _c.rating))
    return (
        func.count(),
        func.count(success),
        func.coalesce(func.sum(cast(success, Integer)), 0),
        func.avg(_c[f"{prefix}seconds"]),
        func.avg(cost),
        func.count(cost),
        func.avg(_c[f"{prefix}iterations"]),
        select(func.coalesce(func.sum(_all[f"{prefix}findings"]), 0))
        .where(_all.rollout_id == rollout_id)
        .scalar_subquery(),
        func.count(findings),
        func.avg(rating),
        func.count(rating),
        func.coalesce(func.sum(case((answered, cast(_c.complaint, Integer)))), 0),
        func.coalesce(func.sum(cast(_c.failing, Integer)), 0) if not prefix else literal(0),
    )
