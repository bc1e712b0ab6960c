"""Traces are complete whatever happened: one root, no orphan, every token and cent once."""

from __future__ import annotations

import json
import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages.journal import (
    JournalEvent,
    TaskDispatched,
    TaskLost,
    TaskSucceeded,
    UnknownEvent,
    WorkflowCompleted,
    WorkflowStarted,
    WorkflowSubmitted,
)
from contracts.messages.journal_rows import kind_of
from contracts.messages.payloads import Usage
from multi_agent.telemetry.tracing import conventions as c
from multi_agent.telemetry.tracing.journal_spans import JournalFact
from multi_agent.telemetry.tracing.spans import ATTEMPT, CHECKPOINT, MODEL_CALL, TOOL_CALL
from multi_agent.telemetry.tracing.stored_calls import Stored
from multi_agent.telemetry.tracing.trace import TaskFacts, build_trace
from tests.orchestrator.plans import WORKFLOW
from tests.orchestrator.test_core_properties import History
from tests.simulation.running import broken
from tests.simulation.wiring import light_messages

ONE = Usage(model_calls=1, input_tokens=10, output_tokens=3, cost_usd=0.01)


def facts_of(*events: JournalEvent) -> list[JournalFact]:
    return [JournalFact(n, 100.0 + n, kind_of(type(event)), event) for n, event in enumerate(events)]


def answer(task_id: str, digest: str, attempt: int | None = 1, used: Usage = ONE) -> Stored:
    document = {
        "request": {"purpose": "coder.step"},
        "response": {
            "model": "m",
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            "cost_usd": used.cost_usd,
        },
    }
    call = {"attempt": attempt, "started": 101.0, "ended": 101.5}
    return Stored(
        task_id, digest, json.dumps(document if attempt is None else document | {"call": call}).encode()
    )


CRASHED = facts_of(
    WorkflowSubmitted(1, "a request", Usage(model_calls=1, input_tokens=7, output_tokens=2, cost_usd=0.5)),
    WorkflowStarted(),
    TaskDispatched("code", 1, "d1"),
    TaskLost("code", 1, 1, True, "w1"),
    TaskDispatched("code", 2, "d2"),
    TaskSucceeded("code", 2, "a" * 40, "done", "d2", "w2"),
    WorkflowCompleted("b" * 40),
)


def test_what_a_crashed_worker_paid_is_on_a_span_once() -> None:
    # The outcome reports one call: the other was paid by the worker that died, and read back.
    stored = [answer("code", "one", 1), answer("code", "two", 2)]
    found = build_trace(WORKFLOW, CRASHED, {"code": TaskFacts("coder", ONE)}, stored)
    assert found.problems == ()
    assert found.ended
    assert found.total(c.INPUT_TOKENS) == 7 + 10 + 10
    assert found.total(c.COST) == pytest.approx(0.52)
    attempts = {span.span_id: span for span in found.spans if span.name == ATTEMPT}
    calls = [span for span in found.spans if span.name == MODEL_CALL]
    assert [attempts[one.parent_id or ""].attributes[c.ATTEMPT_NUMBER] for one in calls] == [1, 2]
    assert [one.attributes.get(c.ERROR) for one in attempts.values()] == ["worker_died", None]


def test_the_same_facts_give_the_same_spans() -> None:
    stored = [answer("code", "one", 1), answer("code", "two", 2)]
    tasks = {"code": TaskFacts("coder", ONE)}
    one, two = (build_trace(WORKFLOW, CRASHED, tasks, kept) for kept in (stored, stored[::-1]))
    assert {span.span_id for span in one.spans} == {span.span_id for span in two.spans}
    other = build_trace("other", CRASHED, tasks, stored)
    assert {span.span_id for span in one.spans}.isdisjoint(span.span_id for span in other.spans)


def test_steps_are_calls_of_tools_and_checkpoints_of_their_attempt() -> None:
    calls = [
        {"tool": "read", "started": 1.0, "ended": 2.0, "refused": False},
        {"tool": "run", "started": 2.0, "ended": 3.0, "refused": True},
    ]
    step = {"results": [], "time": {"attempt": 2, "calls": calls, "saved": [3.0, 3.5]}}
    kept = [Stored("code", "s", json.dumps(step).encode()), Stored("code", "n", b'{"reason": "no"}')]
    found = build_trace(WORKFLOW, CRASHED, {}, kept)
    [attempt] = [one for one in found.spans if one.attributes.get(c.DISPATCH_ID) == "d2"]
    below = [
        (one.name, one.attributes.get(c.TOOL)) for one in found.spans if one.parent_id == attempt.span_id
    ]
    assert below == [(TOOL_CALL, "read"), (TOOL_CALL, "run"), (CHECKPOINT, None)]
    assert found.problems == ()


@pytest.mark.parametrize(
    ("facts", "stored", "problem"),
    [
        (CRASHED[:2] + CRASHED[3:], [], "attempt 1 of task code has no beginning in the journal"),
        (CRASHED, [answer("code", "x", 7)], "a call of attempt 7 of task code, which is not in the journal"),
        (CRASHED, [Stored("code", "x", b"{")], "what task code kept cannot be read"),
        (CRASHED, None, "the artifact store is elsewhere"),
        (CRASHED, [], "13 tokens ($0.0100) of task code are on no call"),
        ([JournalFact(1, 1.0, "new", UnknownEvent("new", None, {}))], [], "a 'new', which this release"),
        ([], [], "the journal has nothing of it"),
    ],
)
def test_what_is_missing_is_said(facts: list[JournalFact], stored: list[Stored] | None, problem: str) -> None:
    reported = ONE if "13 tokens" in problem else Usage()
    found = build_trace(WORKFLOW, facts, {"code": TaskFacts("coder", reported)}, stored)
    assert any(problem in one for one in found.problems), found.problems
    ids = {span.span_id for span in found.spans}
    assert [span.name for span in found.spans if span.parent_id not in {None, *ids}] == []
    assert found.total(c.INPUT_TOKENS) >= reported.input_tokens


def test_calls_of_an_earlier_release_count_without_their_time() -> None:
    found = build_trace(WORKFLOW, CRASHED, {"code": TaskFacts("coder", ONE)}, [answer("code", "old", None)])
    assert found.problems == ()
    [call] = [span for span in found.spans if span.name == MODEL_CALL]
    assert (call.attributes[c.TIME_KNOWN], call.attributes[c.INPUT_TOKENS]) == (False, 10)


def calls_of(facts: list[JournalFact], chance: random.Random) -> list[Stored]:
    """What workers would have kept of the calls of each attempt, also of those that died."""
    sent = [fact.event for fact in facts if isinstance(fact.event, TaskDispatched)]
    return [
        answer(one.task_id, f"{one.dispatch_id}-{place}", one.attempt)
        for one in sent
        for place in range(chance.randint(0, 2))
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_random_histories_leave_no_orphan_and_count_each_call_once(seed: int) -> None:
    history = History(seed)
    history.run()
    chance, facts = random.Random(seed), facts_of(WorkflowSubmitted(1, "x"), *history.play.journal)
    stored = calls_of(facts, chance)
    whole = build_trace(WORKFLOW, facts, {}, stored)
    assert whole.problems == ()
    assert whole.total(c.INPUT_TOKENS) == 10 * len(stored)
    # Seen while it goes on, whenever that is, spans begin as they will be in the end.
    part = build_trace(WORKFLOW, facts[: chance.randint(1, len(facts))], {}, [])
    ends = {span.span_id: span.start for span in whole.spans}
    assert [one for one in part.spans if ends.get(one.span_id) != one.start] == []


def test_journals_of_simulated_systems_whose_processes_die_make_complete_traces() -> None:
    ended, deaths = 0, 0
    with light_messages():
        worlds = [broken(seed) for seed in range(60)]
    for failure, world in worlds:
        assert failure is None
        facts: dict[str, list[JournalFact]] = defaultdict(list)
        for number, (name, entry) in enumerate(world.store.journal):
            facts[name].append(JournalFact(number, float(number), kind_of(type(entry)), entry))
            deaths += isinstance(entry, TaskLost)
        for name, of_one in facts.items():
            found = build_trace(name, of_one, {}, [])
            assert found.problems == (), name
            ended += found.ended
    assert ended > 30
    assert deaths > 10
