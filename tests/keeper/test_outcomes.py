"""What is said of an execution that its keeper ended."""

from __future__ import annotations

import pytest

from agents.keeper.judgement import EndReason, Limits
from agents.keeper.outcomes import outcome_of
from agents.worker.board import Held
from agents.worker.messages import Origin

ORIGIN = Origin("agent.results.1", "event", "workflow", None, "w", "t", 1)
HELD = Held("d", "e", "coder", "agent.requests.coder", "1-0", ORIGIN, started=10.0, deadline=40.0)


@pytest.mark.parametrize(
    ("reason", "code", "said"),
    [(EndReason.DEADLINE, "timeout", "30 s"), (EndReason.MEMORY, "memory_exceeded", "64 MiB")],
)
def test_the_reason_is_its_error(reason: EndReason, code: str, said: str) -> None:
    outcome = outcome_of(reason, HELD, "w-1", Limits(memory_bytes=64 << 20), now=40.5)
    assert outcome.error is not None
    assert (outcome.status, outcome.seconds, outcome.worker_id) == ("failed", 30.5, "w-1")
    assert outcome.error.code == code
    assert said in outcome.error.message
