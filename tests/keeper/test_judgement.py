"""Which processes are ended, by table: what is seen at which time, and what follows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from agents.keeper.judgement import End, EndReason, Judge, Limits, Seen
from agents.worker.board import Held
from agents.worker.messages import Origin

LIMITS = Limits(deadline_grace=2.0, recall_grace=1.0, memory_bytes=1_000)
ORIGIN = Origin("agent.results.0", "event", None, None, "w", "t", 1)


def held(name: str, *, started: float | None = 0.0, deadline: float = math.inf) -> Held:
    return Held(name, f"run-{name}", "coder", "stream", "1-0", ORIGIN, started, deadline)


def seen(*holding: Held, life: float = math.inf, memory: int = 10) -> Seen:
    return Seen(holding, life, memory)


def looks(judge: Judge, process: Seen, until: float, *, since: float = 0.0, step: float = 0.25) -> End | None:
    """Look again and again; the first end, if any comes until then."""
    now = since
    while now <= until:
        if ends := judge.look(now, {"p": process}):
            return ends["p"]
        now += step
    return None


LATE, PATIENT = held("late", deadline=10.0), held("patient", deadline=100.0)


@pytest.mark.parametrize(
    ("process", "until", "expected"),
    [
        (seen(), 1_000.0, None),
        (seen(held("waiting", started=None)), 1_000.0, None),
        (seen(held("endless")), 1_000.0, None),
        (seen(LATE), 11.75, None),
        (seen(LATE), 12.0, End(EndReason.DEADLINE, (LATE,), certain=True)),
        (seen(LATE, life=0.0), 12.0, End(EndReason.DEADLINE, (LATE,), certain=True)),
        (seen(LATE, PATIENT), 12.0, End(EndReason.DEADLINE, (LATE,), certain=True)),
        (seen(LATE, PATIENT, life=9.0), 12.0, End(EndReason.DEADLINE, (LATE,), certain=False)),
        (seen(LATE, held("w", started=None), life=9.0), 12.0, End(EndReason.DEADLINE, (LATE,), certain=True)),
        (seen(PATIENT, memory=1_000), 12.0, None),
        (seen(PATIENT, memory=1_001), 0.0, End(EndReason.MEMORY, (PATIENT,), certain=True)),
        (seen(LATE, PATIENT, memory=1_001), 0.0, End(EndReason.MEMORY, (LATE, PATIENT), certain=False)),
        (seen(memory=1_001), 0.0, End(EndReason.MEMORY, (), certain=True)),
    ],
)
def test_what_is_seen_decides(process: Seen, until: float, expected: End | None) -> None:
    assert looks(Judge(LIMITS), process, until) == expected


def test_a_recalled_execution_has_a_second_to_end() -> None:
    judge = Judge(LIMITS)
    assert looks(judge, seen(PATIENT), 5.0) is None
    judge.recall("patient")
    assert looks(judge, seen(PATIENT), 6.0, since=5.25) is None
    assert looks(judge, seen(PATIENT), 6.25, since=6.25) == End(EndReason.RECALLED, (PATIENT,), certain=True)


def test_what_its_own_process_heard_of_a_recall_counts_as_well() -> None:
    heard = replace(PATIENT, recalled=True)
    assert looks(Judge(LIMITS), seen(heard), 0.75) is None
    assert looks(Judge(LIMITS), seen(heard), 1.0) == End(EndReason.RECALLED, (heard,), certain=True)


def test_a_process_that_holds_something_and_stands_still_hears_nothing() -> None:
    processes = {
        "busy": seen(PATIENT, life=99.5),
        "still": seen(PATIENT, life=98.0),
        "idle": seen(life=0.0),
    }
    assert Judge(LIMITS).deaf(100.0, processes) == ["still"]


def test_one_that_ended_in_time_leaves_no_trace() -> None:
    judge = Judge(LIMITS)
    assert looks(judge, seen(LATE), 11.5) is None
    assert looks(judge, seen(), 20.0, since=11.75) is None
    again = held("late", deadline=10.0)
    assert looks(judge, seen(again), 21.75, since=20.25) is None


def test_after_its_own_stop_the_keeper_gives_the_grace_anew() -> None:
    judge = Judge(LIMITS)
    assert looks(judge, seen(LATE), 11.0) is None
    assert looks(judge, seen(LATE), 501.75, since=500.0) is None, "the others were stopped with it"
    assert looks(judge, seen(LATE), 502.0, since=502.0) is not None


def test_each_process_is_judged_by_itself() -> None:
    judge = Judge(LIMITS)
    for step in range(60):
        ends = judge.look(step / 4, {"bad": seen(LATE), "good": seen(PATIENT)})
        assert "good" not in ends
        if ends:
            break
    assert ends.keys() == {"bad"}


def test_what_is_remembered_of_recalls_is_bounded() -> None:
    judge = Judge(LIMITS)
    judge.recall("patient")
    for number in range(10_000):
        judge.recall(f"other-{number}")
    assert looks(judge, seen(PATIENT), 10.0) is None
