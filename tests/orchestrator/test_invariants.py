"""What the audit does not take for a violation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from contracts.base.refs import RESULT, UNVERIFIED
from contracts.messages.payloads import Heartbeat
from orchestrator.core.state import TaskStatus, Workflow, WorkflowStatus
from orchestrator.diagnosis.invariants import Facts, Refs, Sightings, check_git, check_stuck
from tests.orchestrator.plans import item, plan

WORKFLOW = Workflow.start("w", plan(item("a")), shard=0, now=0.0)
READY = Workflow.load(
    WORKFLOW.header, [task._replace(status=TaskStatus.READY) for task in WORKFLOW.tasks.values()]
)
FACTS = Facts(
    at=0.0,
    workflows={"w": READY},
    succeeded={},
    dispatched={},
    to_publish=frozenset(),
    to_move=frozenset(),
    renewals=1,
)


def sightings(requests: int) -> Sightings:
    beat = Heartbeat(
        worker_id="w1",
        host="here",
        pid=1,
        roles=("coder",),
        streams=("agent.requests.coder",),
        slots=1,
        sequence=1,
        executions=(),
    )
    return Sightings(frozenset(), Counter({"agent.requests.coder": requests}), {"w1": [beat]})


def test_a_worker_with_requests_to_read_neglects_nothing() -> None:  # I1
    later = replace(FACTS, renewals=2)
    assert [one.task_id for one in check_stuck(FACTS, later, sightings(0))] == ["a"]
    assert list(check_stuck(FACTS, later, sightings(1))) == []


def test_a_result_may_stand_before_its_workflow_is_complete() -> None:  # I2
    refs = Refs({("w", RESULT): "f" * 40}, misplaced={}, incomplete={}, damage=())
    assert list(check_git(FACTS, refs)) == []


def test_a_task_to_which_something_has_happened_is_not_stuck() -> None:  # I1
    waited = [task._replace(failures=1) for task in READY.tasks.values()]
    before = replace(FACTS, workflows={"w": Workflow.load(READY.header, waited)})
    assert list(check_stuck(before, replace(FACTS, renewals=2), sightings(0))) == []


def test_a_branch_that_is_still_to_be_moved_may_be_elsewhere() -> None:  # I3
    done = [task._replace(status=TaskStatus.SUCCEEDED, commit="a" * 40) for task in READY.tasks.values()]
    facts = replace(FACTS, workflows={"w": Workflow.load(READY.header, done)})
    nothing = Refs({}, misplaced={}, incomplete={}, damage=())
    assert [one.promise for one in check_git(facts, nothing)] == ["I3"]
    assert list(check_git(replace(facts, to_move=frozenset({("w", "a")})), nothing)) == []


def test_the_result_of_a_complete_workflow_is_what_was_stored() -> None:  # I2
    header = READY.header._replace(status=WorkflowStatus.COMPLETED, result_commit="a" * 40)
    facts = replace(FACTS, workflows={"w": Workflow.load(header, READY.tasks.values())})
    for there, found in (("a" * 40, []), ("f" * 40, ["I2"])):
        refs = Refs({("w", RESULT): there}, misplaced={}, incomplete={}, damage=())
        assert [one.promise for one in check_git(facts, refs)] == found


def test_a_complete_workflow_offers_nothing_more() -> None:  # I2
    header = READY.header._replace(status=WorkflowStatus.COMPLETED, result_commit="a" * 40)
    there = {("w", RESULT): "a" * 40, ("w", UNVERIFIED): "b" * 40}
    refs = Refs(there, misplaced={}, incomplete={}, damage=())
    facts = replace(FACTS, workflows={"w": Workflow.load(header, READY.tasks.values())})
    assert [(one.promise, "still offered" in one.message) for one in check_git(facts, refs)] == [("I2", True)]
    named = [
        task._replace(item=task.item.model_copy(update={"task_id": UNVERIFIED}))
        for task in READY.tasks.values()
    ]
    facts = replace(FACTS, workflows={"w": Workflow.load(header, named)})
    assert list(check_git(facts, refs)) == []
