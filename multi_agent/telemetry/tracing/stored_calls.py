"""From what was stored with the answers of models and with steps to spans: calls of models and tools."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from contracts.messages.payloads import Usage
from multi_agent.telemetry.tracing import conventions as c
from multi_agent.telemetry.tracing.journal_spans import usage
from multi_agent.telemetry.tracing.spans import (
    ATTEMPT,
    CHECKPOINT,
    MODEL_CALL,
    TOOL_CALL,
    Span,
    SpanStatus,
    span_id_of,
)

_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Stored(NamedTuple):
    """A document that was kept of a task; see agents.sdk.exchange_log and agents.loop.record."""

    task_id: str
    digest: str
    """Of its key."""
    content: bytes


class CallSpans:
    """Puts calls below the attempts that made them."""

    def __init__(self, workflow_id: str, spans: list[Span]) -> None:
        """spans: those of the journal, the root first; calls are added to them."""
        self._workflow_id, self._spans = workflow_id, spans
        self.problems: list[str] = []
        self._attempts = {
            (str(span.attributes[c.TASK_ID]), int(span.attributes[c.ATTEMPT_NUMBER])): span
            for span in spans
            if span.name == ATTEMPT
        }
        self._last = {task_id: number for task_id, number in sorted(self._attempts)}

    def read(self, documents: Iterable[Stored]) -> None:
        """Add the calls of these; what is neither an answer nor a step is left out."""
        for stored in documents:
            try:
                document = json.loads(stored.content)
                if "response" in document:
                    self._answer(stored, document)
                elif document.get("time"):
                    self._step(stored, document["time"])
            except _UNREADABLE as error:
                what = f"{type(error).__name__}: {error}"
                self.problems.append(f"what task {stored.task_id} kept cannot be read: {what}")

    def _answer(self, stored: Stored, document: Mapping[str, Any]) -> None:
        response, call = document["response"], document.get("call")
        parent = self._parent(stored.task_id, call["attempt"] if call else None)
        start, end = (call["started"], call["ended"]) if call else (parent.start, parent.start)
        span = self._new(MODEL_CALL, parent, stored, (stored.digest,), start, end)
        used = Usage.model_validate(
            {
                "model_calls": 1,
                "input_tokens": response.get("input_tokens", 0),
                "output_tokens": response.get("output_tokens", 0),
                "cost_usd": response.get("cost_usd", 0.0),
                "cached_input_tokens": response.get("cached_input_tokens") or None,
            }
        )
        span.attributes |= {c.OPERATION: MODEL_CALL, c.MODEL: str(response.get("model", ""))}
        span.attributes |= {c.PURPOSE: str(document["request"]["purpose"]), **usage(used)}
        if response.get("stand_in"):
            span.attributes[c.STAND_IN] = str(response["stand_in"])
        if call is None:
            span.attributes[c.TIME_KNOWN] = False

    def _step(self, stored: Stored, time: Mapping[str, Any]) -> None:
        parent = self._parent(stored.task_id, time["attempt"])
        for place, call in enumerate(time["calls"]):
            parts = (stored.digest, place)
            span = self._new(TOOL_CALL, parent, stored, parts, call["started"], call["ended"])
            span.attributes |= {c.OPERATION: "execute_tool", c.TOOL: str(call["tool"])}
            if call["refused"]:
                span.attributes[c.REFUSED] = True
        self._new(CHECKPOINT, parent, stored, (stored.digest, "saved"), *time["saved"])

    def _parent(self, task_id: str, attempt: int | None) -> Span:
        """The attempt; the last one of the task where it is not known, and else the workflow."""
        number = self._last.get(task_id, 0) if attempt is None else attempt
        found = self._attempts.get((task_id, number))
        if found is None:
            missing = "an attempt" if attempt is None else f"attempt {attempt}"
            self.problems.append(f"a call of {missing} of task {task_id}, which is not in the journal")
            return self._spans[0]
        return found

    def _new(
        self,
        name: str,
        parent: Span,
        stored: Stored,
        parts: tuple[str | int, ...],
        start: float,
        end: float,
    ) -> Span:
        span = Span(
            parent.trace_id,
            span_id_of(self._workflow_id, stored.task_id, name, *parts),
            parent.span_id,
            name,
            float(start),
            max(float(start), float(end)),
            SpanStatus.OK,
        )
        span.attributes |= {c.WORKFLOW_ID: self._workflow_id, c.CONVERSATION: self._workflow_id}
        span.attributes |= {c.TASK_ID: stored.task_id}
        self._spans.append(span)
        return span
