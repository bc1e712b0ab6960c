"""What programs record of their requests. A record that comes again changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Integer,
    bindparam,
    case,
    cast,
    func,
    insert,
    select,
    update,
)

from contracts.messages.rollout import Begun, Ended, Rated, RolloutRecord
from orchestrator.storage import tables as t
from orchestrator.storage.rollouts.state import read_rollout

BLOCK: Final = 100
"""Requests of a block."""
_LEAST_FOR_PACE: Final = 20
_MOST_TENTHS: Final = 1_000
_c = t.rollout_requests.c


class RecordingRules(NamedTuple):
    """What of a rollout's plan decides how records are kept."""

    outcomes_per_key: int
    cost_usd: float | None


class _LegacySoFar(NamedTuple):
    """The legacy arm in a stage, and how many requests came."""

    requests: int
    ended: int
    succeeded: int
    seconds: float | None

    @property
    def pace(self) -> float | None:
        return self.seconds if self.ended >= _LEAST_FOR_PACE else None


def legacy_centre(ended: int, succeeded: int) -> int:
    """The legacy arm's success in twentieths, from 1 to 19; it begins at 80 % with four requests."""
    return min(max(round(20 * (succeeded + 3.2) / (ended + 4)), 1), 19)


def record_requests(
    connection: Connection,
    rollout_id: str,
    records: Sequence[RolloutRecord],
    rules: RecordingRules,
    now: float,
) -> None:
    """Keep records of one rollout, after those that are under way; of an unknown rollout none.

    What ended or is rated without having begun is left out.
    """
    if read_rollout(connection, rollout_id, lock=True) is None:
        return
    begun = {record.request_id: record for record in records if isinstance(record, Begun)}
    known = _known(connection, rollout_id, begun)
    new = [record for name, record in begun.items() if name not in known]
    for stage in sorted({record.stage for record in new}):
        of_stage = [record for record in new if record.stage == stage]
        connection.execute(insert(t.rollout_requests), _begun_rows(connection, of_stage, rules, now))
    ended = [record for record in records if isinstance(record, Ended)]
    _end(connection, rollout_id, [one for one in ended if one.arm == "legacy"], rules)
    _end(connection, rollout_id, [one for one in ended if one.arm == "multi_agent"], rules)
    _rate(connection, rollout_id, [record for record in records if isinstance(record, Rated)])


def give_up(connection: Connection, rollout_id: str, before: float) -> None:
    """Count requests of the multi-agent arm that came before and have not ended as failed."""
    connection.execute(update(t.rollout_requests).where(*_lost(rollout_id, before)).values(success=False))


def any_lost(connection: Connection, rollout_id: str, before: float) -> bool:
    """Whether `give_up` would change something."""
    query = select(_c.request_id).where(*_lost(rollout_id, before)).limit(1)
    return connection.execute(query).first() is not None


def _lost(rollout_id: str, before: float) -> tuple[ColumnElement[bool], ...]:
    ours = (_c.rollout_id == rollout_id, _c.assigned != "legacy")
    return (*ours, _c.success.is_(None), _c.begun_at < before)


def _known(connection: Connection, rollout_id: str, names: Iterable[str]) -> set[str]:
    query = select(_c.request_id).where(_c.rollout_id == rollout_id, _c.request_id.in_(list(names)))
    return set(connection.execute(query).scalars())


def _begun_rows(
    connection: Connection, records: Sequence[Begun], rules: RecordingRules, now: float
) -> list[dict[str, Any]]:
    rollout_id, stage = records[0].rollout, records[0].stage
    so_far = _legacy_so_far(connection, rollout_id, stage)
    hashes = {record.key_hash for record in records}
    query = (
        select(_c.key_hash, func.count())
        .where(_c.rollout_id == rollout_id, _c.stage == stage, _c.key_hash.in_(hashes))
        .group_by(_c.key_hash)
    )
    seen = Counter({hashed: count for hashed, count in connection.execute(query)})
    rows = []
    for number, record in enumerate(records, so_far.requests):
        row = record.model_dump(exclude={"kind", "rollout"}) | {"rollout_id": rollout_id, "begun_at": now}
        row["counts"] = seen[record.key_hash] < rules.outcomes_per_key
        seen[record.key_hash] += 1
        row |= {
            "centre": legacy_centre(so_far.ended, so_far.succeeded),
            "pace": so_far.pace,
            "block": number // BLOCK,
        }
        rows.append(row)
    return rows


def _legacy_so_far(connection: Connection, rollout_id: str, stage: int) -> _LegacySoFar:
    query = select(
        func.count(),
        func.count(_c.legacy_success),
        func.coalesce(func.sum(cast(_c.legacy_success, Integer)), 0),
        func.avg(_c.legacy_seconds),
    ).where(_c.rollout_id == rollout_id, _c.stage == stage)
    return _LegacySoFar(*connection.execute(query).one())


def _end(connection: Connection, rollout_id: str, records: Sequence[Ended], rules: RecordingRules) -> None:
    if not records:
        return
    legacy = records[0].arm == "legacy"
    names = ("success", "seconds", "iterations", "cost_usd", "findings", *(() if legacy else ("failing",)))
    own = {name: f"legacy_{name}" if legacy else name for name in names}
    rows = []
    for record in records:
        row = {f"b_{own[name]}": getattr(record, name) for name in names} | {"b_id": record.request_id}
        if not legacy:
            limit = rules.cost_usd if record.cost_usd is not None else None
            row["b_cost_tenths"] = _tenths(record.cost_usd or 0.0, limit) if limit else None
        rows.append(row)
    columns: dict[str, BindParameter[Any]] = {column: bindparam(f"b_{column}") for column in own.values()}
    if not legacy:
        columns["cost_tenths"] = bindparam("b_cost_tenths")
    kept = _c[own["success"]]
    statement = update(t.rollout_requests).where(
        _c.rollout_id == rollout_id, _c.request_id == bindparam("b_id"), kept.is_(None)
    )
    connection.execute(statement.values(columns), rows)
    if not legacy:
        _set_times(connection, rollout_id, records)


def _set_times(connection: Connection, rollout_id: str, records: Sequence[Ended]) -> None:
    """What each took in tenths of the pace that was known when it came."""
    names = [record.request_id for record in records]
    query = select(_c.request_id, _c.seconds, _c.pace).where(
        _c.rollout_id == rollout_id, _c.request_id.in_(names), _c.pace > 0, _c.seconds.is_not(None)
    )
    rows = [
        {"b_id": name, "b_tenths": _tenths(seconds, pace)}
        for name, seconds, pace in connection.execute(query)
    ]
    if rows:
        statement = update(t.rollout_requests).where(
            _c.rollout_id == rollout_id, _c.request_id == bindparam("b_id")
        )
        connection.execute(statement.values(time_tenths=bindparam("b_tenths")), rows)


def _tenths(value: float, unit: float) -> int:
    return int(min(value / unit * 10, _MOST_TENTHS))


def _rate(connection: Connection, rollout_id: str, records: Sequence[Rated]) -> None:
    if not records:
        return
    rows = [{"b_id": one.request_id, "b_rating": one.rating, "b_bad": one.complaint} for one in records]
    statement = update(t.rollout_requests).where(
        _c.rollout_id == rollout_id, _c.request_id == bindparam("b_id")
    )
    values = {
        "rating": bindparam("b_rating"),
        "complaint": case((_c.complaint.is_(True), True), else_=bindparam("b_bad", type_=Boolean)),
    }
    connection.execute(statement.values(values), rows)
