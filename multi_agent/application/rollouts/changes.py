"""Rollouts change here: each change is a revision with its reasons, in the audit log too."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from contracts.base.errors import InvalidInput
from contracts.base.processes.command_lines import command_line
from contracts.base.processes.users import user_name
from contracts.base.text import visible
from multi_agent.application.rollouts.standing import Standing, stand
from multi_agent.rollout.decision import Action
from multi_agent.rollout.plan import RolloutPlan
from orchestrator.client.rollouts import RolloutDecision, RolloutRow, RolloutStore
from orchestrator.core.audit.entries import AuditEntry, AuditKind, Fact, Via, text_hash

_KINDS: Final[Mapping[str, AuditKind]] = {
    "start": AuditKind.ROLLOUT_STARTED,
    "promote": AuditKind.ROLLOUT_PROMOTED,
    "complete": AuditKind.ROLLOUT_COMPLETED,
    "rollback": AuditKind.ROLLOUT_ROLLED_BACK,
}


@dataclass(frozen=True, slots=True)
class Decider:
    """Who changes a rollout."""

    who: str
    via: Via
    reason: str = ""
    """A person's own words."""


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_HAVE_TRAFFIC: Final = frozenset({"running", "completed"})

GATE: Final = Decider("the rollout's gate", Via.POLICY)


def a_person(reason: str = "") -> Decider:
    """Whoever runs this program, at the command line."""
    return Decider(user_name(), Via.COMMAND_LINE, reason)


def read_rollout_plan(path: Path | None) -> RolloutPlan:
    """The plan in a JSON file; the usual one for None. Raises InvalidInput."""
    if path is None:
        return RolloutPlan()
    try:
        return RolloutPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"the plan {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise InvalidInput(f"the plan {path}: {place}: {first['msg']}") from None


async def start_rollout(
    store: RolloutStore, rollout_id: str, plan: RolloutPlan, by: Decider, now: float
) -> RolloutRow:
    """Begin with the first stage. Raises InvalidInput while another runs, and for a name that was used."""
    if not _NAME.fullmatch(rollout_id):
        raise InvalidInput(
            f"the name {visible(rollout_id[:100])!r} cannot be used; give at most 100 "
            "letters, digits, `_`, `-` and dots"
        )
    row = RolloutRow(rollout_id, plan.model_dump_json(), "running", 0, now, 1, now, None)
    why = by.reason or f"stage 1 of {len(plan.stages)}: {plan.stages[0].percent} % of keys"
    decision = RolloutDecision(rollout_id, 1, now, "start", by.who, 0, why, "{}")
    facts: dict[str, Fact] = {"percent": plan.stages[0].percent, "plan_sha256": text_hash(row.plan)}
    other = await store.start(row, decision, _entry(row, decision, by, facts))
    if other == rollout_id:
        raise InvalidInput(f"there was a rollout {rollout_id} already; choose another name")
    if other is not None:
        end = command_line("rollout", "rollback", "--reason", "TEXT")
        raise InvalidInput(f"rollout {other} runs; end it first (`{end}`), one runs at a time")
    return row


async def promote(store: RolloutStore, by: Decider, now: float, *, closed: bool = False) -> Standing:
    """A person's word to go on. Raises InvalidInput while the gate is closed, unless `closed` says anyway."""
    standing = await running(store, now)
    decision = standing.decision
    if decision.action == "rollback":
        raise InvalidInput(f"rollout {standing.row.rollout_id} is to be rolled back: {decision.why}")
    if decision.action == "stay" and not closed:
        raise InvalidInput(
            f"the gate of stage {standing.row.stage + 1} is closed: {decision.why}; with --closed --reason "
            "TEXT you may go on, on your own word"
        )
    last = standing.row.stage == len(standing.plan.stages) - 1
    await _apply(store, standing, "complete" if last else "promote", by, now)
    return await _again(store, standing, now)


async def rollback(store: RolloutStore, by: Decider, now: float) -> Standing:
    """A person's word to send all traffic back, also from a rollout that is completed.

    Raises InvalidInput where there is none of either.
    """
    standing = await running(store, now, _HAVE_TRAFFIC)
    await _apply(store, standing, "rollback", by, now)
    return await _again(store, standing, now)


async def advance(store: RolloutStore, now: float) -> Standing | None:
    """Do what follows by the figures; the standing that it rests on, None where nothing follows."""
    row = await store.find()
    if row is None or row.state != "running":
        return None
    plan = RolloutPlan.model_validate_json(row.plan)
    await store.give_up(row.rollout_id, now - plan.patience_minutes * 60)
    standing = await stand(store, row, now)
    action = standing.decision.action
    if action == "rollback" or (action != "stay" and plan.automatic):
        await _apply(store, standing, action, GATE, now)
        return standing
    return None


async def running(
    store: RolloutStore, now: float, states: Collection[str] = frozenset({"running"})
) -> Standing:
    """The rollout that runs, or is in one of these states. Raises InvalidInput where none is."""
    row = await store.find()
    if row is None or row.state not in states:
        raise InvalidInput(f"no rollout runs; begin one with `{command_line('rollout', 'start', 'NAME')}`")
    return await stand(store, row, now)


async def _again(store: RolloutStore, standing: Standing, now: float) -> Standing:
    row = await store.find(standing.row.rollout_id)
    assert row is not None  # rollouts are never removed
    return await stand(store, row, now)


async def _apply(
    store: RolloutStore,
    standing: Standing,
    action: Action,
    by: Decider,
    now: float,
) -> None:
    """Write the next revision. A person's word is tried again where something else came first."""
    row, plan = standing.row, standing.plan
    changed = replace(row, revision=row.revision + 1)
    if action == "promote":
        changed = replace(changed, stage=row.stage + 1, stage_since=now)
    else:
        changed = replace(changed, state="completed" if action == "complete" else "rolled_back", ended_at=now)
    percent = 0 if action == "rollback" else plan.stages[changed.stage].percent
    why = by.reason or standing.decision.why
    details = json.dumps({"figures": _figures(standing), **asdict(standing.decision)})
    decision = RolloutDecision(row.rollout_id, changed.revision, now, action, by.who, row.stage, why, details)
    facts: dict[str, Fact] = {"revision": changed.revision, "percent": percent}
    facts |= {"reason_sha256": text_hash(by.reason)} if by.reason else {"why": why}
    facts |= {f"check_{one.name}": one.text for one in standing.decision.checks}
    facts |= {f"alarm_{one.name}": one.text for one in standing.decision.alarms}
    if await store.change(changed, decision, _entry(changed, decision, by, facts)) or by is GATE:
        return
    current = await store.find(row.rollout_id)
    if current is None or current.state not in _HAVE_TRAFFIC or action != "rollback":
        raise InvalidInput(f"rollout {row.rollout_id} changed meanwhile; look at it again")
    await _apply(store, replace(standing, row=current), action, by, now)


def _figures(standing: Standing) -> dict[str, object]:
    figures = standing.figures
    return {"legacy": asdict(figures.legacy), "multi_agent": asdict(figures.multi_agent)}


def _entry(row: RolloutRow, decision: RolloutDecision, by: Decider, facts: dict[str, Fact]) -> AuditEntry:
    known: dict[str, Fact] = {"rollout": row.rollout_id, "stage": row.stage + 1}
    return AuditEntry(_KINDS[decision.action], by.who, by.via, facts=known | facts)
