"""The outcome of an execution that its keeper ended."""

from __future__ import annotations

from agents.keeper.judgement import EndReason, Limits
from agents.worker.board import Held
from agents.worker.failures import memory_error, timeout_error
from contracts.messages.payloads import TaskError, TaskOutcome


def outcome_of(reason: EndReason, held: Held, worker_id: str, limits: Limits, now: float) -> TaskOutcome:
    """The failure of an execution, `reason` being its deadline or its memory; `now` is monotonic.

    What it asked of models is not known: exchanges are stored, and its successor is charged nothing for them.
    """
    return TaskOutcome(
        dispatch_id=held.dispatch_id,
        execution_id=held.execution_id,
        worker_id=worker_id,
        status="failed",
        error=_error(reason, held, limits),
        seconds=round(max(0.0, now - (held.started or now)), 3),
    )


def _error(reason: EndReason, held: Held, limits: Limits) -> TaskError:
    if reason is EndReason.MEMORY:
        return memory_error(limits.memory_bytes >> 20)
    return timeout_error(round(held.deadline - (held.started or held.deadline)))
