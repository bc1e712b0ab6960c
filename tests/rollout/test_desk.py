"""Rollouts in both databases: recorded once, judged, changed by one at a time, and in the audit log."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from contracts.base.errors import InvalidInput
from contracts.messages.rollout import Begun, Ended
from multi_agent.application.rollouts.changes import Decider, advance, promote, rollback, start_rollout
from multi_agent.application.rollouts.standing import standing_of
from multi_agent.rollout.assignment import Flag, key_hash
from multi_agent.rollout.plan import RolloutPlan
from orchestrator.client.rollouts import RolloutDecision
from orchestrator.core.audit.chain import verify
from orchestrator.core.audit.entries import AuditEntry, Via
from orchestrator.storage.audit.log import read_heads, read_rows
from orchestrator.storage.sql.database import Database
from tests.rollout.days import ANN, HOUR, Days

SHORT = {"stages": [{"percent": 50, "hours": 1}, {"percent": 100, "hours": 1}]}
ALL = {"stages": [{"percent": 100, "hours": 1}]}
AT_ONCE = {"stages": [{"percent": 50, "hours": 0}, {"percent": 100, "hours": 1}]}


async def test_a_good_arm_goes_through_all_stages_by_itself(database: Database) -> None:
    days = Days(database)
    await days.start(plan=SHORT)
    await days.requests(600)
    await days.desk.judge()
    await days.desk.look()
    assert days.desk.flag == Flag(50, 0, "trial", 0, "running"), "an hour is not over"
    days.now += HOUR
    await days.desk.judge()
    await days.desk.look()
    assert days.desk.flag == Flag(100, 0, "trial", 1, "running")
    await days.requests(100)
    days.now += HOUR
    await days.desk.judge()
    await days.desk.look()
    assert days.desk.flag == Flag(100, 0, "trial", 1, "completed")
    decisions = await days.store.decisions("trial")
    assert [(one.action, one.stage, one.who) for one in decisions] == [
        ("start", 0, "ann"),
        ("promote", 0, "the rollout's gate"),
        ("complete", 1, "the rollout's gate"),
    ]
    details = json.loads(decisions[1].details)
    assert details["figures"]["legacy"]["ended"] + details["figures"]["multi_agent"]["ended"] == 600
    rows = await database.read(lambda one: list(read_rows(one)))
    assert [row.kind for row in rows] == ["rollout.started", "rollout.promoted", "rollout.completed"]
    assert "e = " in rows[1].facts["check_success"]
    assert not (await database.read(lambda one: verify(read_rows(one), read_heads(one)))).bad


async def test_a_bad_arm_is_rolled_back_and_everything_is_kept(database: Database) -> None:
    days = Days(database)
    await days.start()
    await days.requests(1_000, ours=False)
    await days.desk.judge()
    await days.desk.look()
    assert days.desk.flag == Flag(0, 0, "trial", 0, "rolled_back")
    standing = await standing_of(days.store, None, days.now)
    assert standing.row.state == "rolled_back"
    assert standing.figures.multi_agent.success == 0.0
    assert standing.figures.legacy.requests == 1_000 - standing.figures.multi_agent.requests + sum(
        one.count for one in standing.figures.outcomes if one.assigned == "shadowed"
    )
    why = (await days.store.decisions("trial"))[-1].why
    assert "success is below the least: e = " in why
    await days.start("again")
    assert days.desk.flag == Flag(10, 15, "again", 0, "running")


async def test_a_security_finding_rolls_back_at_the_next_look(database: Database) -> None:
    days = Days(database)
    await days.start()
    await days.requests(40, findings=1)
    await days.desk.judge()
    assert (await standing_of(days.store, None, days.now)).row.state == "rolled_back"


async def test_means_of_cost_time_and_ratings_are_of_the_arm(database: Database) -> None:
    days = Days(database)
    await days.start(plan=AT_ONCE)
    await days.requests(100)
    await days.rate(2, *(f"r{number}" for number in range(1, 101)))
    ours = (await standing_of(days.store, None, days.now)).figures.multi_agent
    theirs = (await standing_of(days.store, None, days.now)).figures.legacy
    assert ours.cost_usd == pytest.approx(0.4)
    assert theirs.cost_usd == pytest.approx(0.1)
    assert (ours.seconds, theirs.seconds, ours.iterations, theirs.iterations) == (3.0, 2.0, 2.0, None)
    assert ours.ratings + theirs.ratings == 100
    assert (ours.rating, theirs.rating) == (2.0, 2.0)


async def test_costs_over_budget_and_slow_answers_are_alarms(database: Database) -> None:
    days = Days(database)
    await days.start(plan=AT_ONCE)
    await days.requests(60)
    await days.requests(100, cost_usd=4.0, seconds=40.0)
    decision = (await standing_of(days.store, None, days.now)).decision
    assert [one.name for one in decision.alarms if not one.passed] == ["cost", "time"]


async def test_what_comes_again_changes_nothing(database: Database) -> None:
    days = Days(database)
    await days.start()
    begun = Begun(
        rollout="trial",
        request_id="r",
        key_hash=key_hash("trial", "k"),
        stage=0,
        percent=10,
        shadow=15,
        assigned="legacy",
    )
    ended = Ended(rollout="trial", request_id="r", arm="legacy", success=True, seconds=1.0)
    await days.desk.take([begun, ended])
    await days.desk.take([begun, ended, ended.model_copy(update={"success": False})])
    await days.desk.take([ended.model_copy(update={"request_id": "never begun"})])
    await days.desk.take([ended.model_copy(update={"rollout": "never started"})])
    figures = (await standing_of(days.store, None, days.now)).figures
    assert (figures.legacy.requests, figures.legacy.succeeded) == (1, 1)


async def test_a_key_counts_once_as_evidence(database: Database) -> None:
    days = Days(database)
    await days.start()
    begun = Begun(
        rollout="trial",
        request_id="r",
        key_hash=key_hash("trial", "k"),
        stage=0,
        percent=10,
        shadow=15,
        assigned="legacy",
    )
    await days.desk.take([begun.model_copy(update={"request_id": f"r{number}"}) for number in range(3)])
    await days.desk.take([begun.model_copy(update={"request_id": f"s{number}"}) for number in range(3)])
    figures = (await standing_of(days.store, None, days.now)).figures
    assert figures.legacy.requests == 6
    assert sum(one.count for one in figures.outcomes) == 1


async def test_what_never_ends_counts_as_failed_after_a_while(database: Database) -> None:
    days = Days(database)
    await days.start(plan={"patience_minutes": 10})
    begun = Begun(
        rollout="trial",
        request_id="r",
        key_hash=key_hash("trial", "k"),
        stage=0,
        percent=10,
        shadow=15,
        assigned="multi_agent",
    )
    await days.desk.take([begun])
    await advance(days.store, days.now + 599)
    assert (await standing_of(days.store, None, days.now)).figures.multi_agent.ended == 0
    await advance(days.store, days.now + 601)
    late = Ended(rollout="trial", request_id="r", arm="multi_agent", success=True, seconds=700.0)
    await days.desk.take([late])
    assert (await standing_of(days.store, None, days.now)).figures.multi_agent.success == 0.0


async def test_one_rollout_runs_at_a_time_whoever_starts_it(database: Database) -> None:
    days = Days(database)
    starts = [
        start_rollout(days.store, f"trial-{number}", RolloutPlan(), ANN, days.now) for number in range(4)
    ]
    ended = await asyncio.gather(*starts, return_exceptions=True)
    refused = [one for one in ended if isinstance(one, InvalidInput)]
    assert len(refused) == 3
    assert "runs; end it first" in str(refused[0])
    rows = await database.read(lambda one: list(read_rows(one)))
    assert [row.kind for row in rows] == ["rollout.started"], "what was refused left nothing"


async def test_a_person_and_the_gate_at_once_make_one_change(database: Database) -> None:
    days = Days(database)
    await days.start(plan=SHORT)
    await days.requests(600)
    days.now += HOUR
    bob = Decider("bob", Via.COMMAND_LINE, "looks wrong")
    await asyncio.gather(
        advance(days.store, days.now), rollback(days.store, bob, days.now), advance(days.store, days.now)
    )
    assert (await standing_of(days.store, None, days.now)).row.state == "rolled_back"
    decisions = await days.store.decisions("trial")
    assert [one.revision for one in decisions] == list(range(1, len(decisions) + 1))
    assert decisions[-1].who == "bob"
    rows = await database.read(lambda one: list(read_rows(one)))
    assert len(rows) == len(decisions)
    assert "looks wrong" not in rows[-1].entry, "of free text only the hash"


async def test_a_person_goes_through_a_closed_gate_only_on_their_own_word(database: Database) -> None:
    days = Days(database)
    await days.start(plan=SHORT)
    with pytest.raises(InvalidInput, match=r"the gate of stage 1 is closed: 0\.0 h in this stage"):
        await promote(days.store, ANN, days.now)
    standing = await promote(days.store, Decider("ann", Via.COMMAND_LINE, "hurry"), days.now, closed=True)
    assert standing.flag == Flag(100, 0, "trial", 1, "running")
    await rollback(days.store, ANN, days.now)
    with pytest.raises(InvalidInput, match="no rollout runs"):
        await rollback(days.store, ANN, days.now)


async def test_of_two_changes_of_one_revision_the_second_is_none(database: Database) -> None:
    days = Days(database)
    await days.start(plan=SHORT)
    row = await days.store.find()
    assert row is not None
    changed = replace(row, revision=2, stage=1)
    why = RolloutDecision("trial", 2, days.now, "promote", "ann", 0, "because", "{}")
    entry = AuditEntry("rollout.promoted", "ann", Via.COMMAND_LINE)
    assert await days.store.change(changed, why, entry) is True
    assert await days.store.change(replace(changed, stage=0), why, entry) is False
    assert (await days.store.find()) == changed
    assert len(await days.store.decisions("trial")) == 2


async def test_what_is_under_way_counts_as_taken(database: Database) -> None:
    days = Days(database)
    await days.start(plan=ALL)
    begun = [
        Begun(
            rollout="trial",
            request_id=f"r{number}",
            key_hash=key_hash("trial", f"k{number}"),
            stage=0,
            percent=100,
            shadow=0,
            assigned="multi_agent",
        )
        for number in range(100)
    ]
    away = {"rollout": "trial", "arm": "multi_agent", "success": False, "failing": True, "seconds": 0.1}
    await days.desk.take([*begun, *(Ended.model_validate(away | {"request_id": f"r{n}"}) for n in range(3))])
    assert (await standing_of(days.store, None, days.now)).decision.action == "stay"
    await days.desk.take([Ended.model_validate(away | {"request_id": f"r{n}"}) for n in range(3, 60)])
    alarms = (await standing_of(days.store, None, days.now)).decision.alarms
    assert "failing" in [one.name for one in alarms if not one.passed]


async def test_a_finding_that_comes_when_the_next_stage_has_begun_rolls_back(database: Database) -> None:
    days = Days(database)
    await days.start(plan=SHORT)
    begun = Begun(
        rollout="trial",
        request_id="r",
        key_hash=key_hash("trial", "k"),
        stage=0,
        percent=50,
        shadow=0,
        assigned="multi_agent",
    )
    await days.desk.take([begun])
    await promote(days.store, ANN, days.now, closed=True)
    late = {"rollout": "trial", "request_id": "r", "arm": "multi_agent", "success": True, "seconds": 9.0}
    await days.desk.take([Ended.model_validate(late | {"findings": 1})])
    await days.desk.judge()
    assert (await standing_of(days.store, None, days.now)).row.state == "rolled_back"


async def test_a_completed_rollout_is_rolled_back_on_a_persons_word_alone(database: Database) -> None:
    days = Days(database)
    await days.start(plan=ALL)
    completed, row = await promote(days.store, ANN, days.now, closed=True), await days.store.find()
    assert completed.flag == Flag(100, 0, "trial", 0, "completed")
    assert row is not None
    why = RolloutDecision("trial", 3, days.now, "promote", "ann", 0, "because", "{}")
    entry = AuditEntry("rollout.promoted", "ann", Via.COMMAND_LINE)
    assert await days.store.change(replace(row, revision=3), why, entry) is False
    with pytest.raises(InvalidInput, match="no rollout runs"):
        await promote(days.store, ANN, days.now, closed=True)
    back = await rollback(days.store, ANN, days.now)
    assert back.flag == Flag(0, 0, "trial", 0, "rolled_back")
    with pytest.raises(InvalidInput, match="no rollout runs"):
        await rollback(days.store, ANN, days.now)


async def test_a_persons_word_is_tried_again_where_the_rollout_was_completed_meanwhile(
    database: Database,
) -> None:
    days = Days(database)
    await days.start(plan=ALL)
    await asyncio.gather(
        promote(days.store, ANN, days.now, closed=True),
        rollback(days.store, ANN, days.now),
        return_exceptions=True,
    )
    assert (await standing_of(days.store, None, days.now)).row.state == "rolled_back"
