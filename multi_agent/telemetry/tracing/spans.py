"""Spans, and their ids, which are the same whoever derives them, and however often."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

Attribute: TypeAlias = str | bool | int | float

WORKFLOW: Final = "workflow"
TASK: Final = "task"
ATTEMPT: Final = "invoke_agent"
MODEL_CALL: Final = "chat"
TOOL_CALL: Final = "tool.call"
DECISION: Final = "agent.arbitrate"
CHECKPOINT: Final = "checkpoint.save"
WAIT: Final = "person.wait"
"""Names of spans, which are few."""


class SpanStatus(StrEnum):
    """How something ended."""

    UNSET = "unset"
    """It goes on, or nobody says."""
    OK = "ok"
    ERROR = "error"


@dataclass(slots=True)
class Span:
    """Something that took a time. Times are in seconds since 1970."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    parent_id: str | None
    """None for the workflow."""
    name: str
    start: float
    end: float | None = None
    """None while it goes on."""
    status: SpanStatus = SpanStatus.UNSET
    message: str = ""
    """Why it ended badly."""
    attributes: dict[str, Attribute] = field(default_factory=dict)

    def close(self, at: float, status: SpanStatus = SpanStatus.OK, message: str = "") -> None:
        """End it; it ends no earlier than it began."""
        self.end, self.status, self.message = max(at, self.start), status, message


def trace_id_of(workflow_id: str) -> str:
    """The trace of a workflow."""
    return hashlib.sha256(f"trace\n{workflow_id}".encode()).hexdigest()[:32]


def span_id_of(workflow_id: str, *parts: str | int) -> str:
    """The span of a part of a workflow; without parts the workflow's own."""
    named = "\n".join(map(str, ("span", workflow_id, *parts)))
    return hashlib.sha256(named.encode()).hexdigest()[:16]
