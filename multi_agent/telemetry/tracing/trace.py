"""The trace of a workflow, and whether it is complete."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.messages.payloads import Usage
from multi_agent.telemetry.tracing import conventions as c
from multi_agent.telemetry.tracing.journal_spans import JournalFact, JournalSpans, usage
from multi_agent.telemetry.tracing.spans import MODEL_CALL, TASK, Span, SpanStatus
from multi_agent.telemetry.tracing.stored_calls import CallSpans, Stored

_CENT_PARTS: Final = 1e-7
"""In dollars: sums of floating-point numbers in another order differ by less."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of a workflow."""

    workflow_id: str
    spans: tuple[Span, ...]
    """The root first, then by their beginning."""
    problems: tuple[str, ...]
    """Why it is not complete; () where it is."""
    ended: bool
    """Whether the workflow has ended, so that nothing will be added but by a retry."""

    def total(self, attribute: str) -> float:
        """The sum of an attribute over all spans."""
        return sum(float(span.attributes.get(attribute, 0)) for span in self.spans)


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What the database says of a task."""

    role: str
    usage: Usage
    """As its accepted outcomes have reported it."""


def build_trace(
    workflow_id: str,
    facts: Iterable[JournalFact],
    tasks: Mapping[str, TaskFacts],
    stored: Iterable[Stored] | None,
) -> Trace:
    """Derive the trace. The same input gives the same spans, ids included.

    stored: what was kept of its tasks; None where that cannot be read.
    """
    of_journal = JournalSpans(workflow_id, {name: task.role for name, task in tasks.items()})
    of_journal.read(facts)
    spans, problems = of_journal.spans, list(of_journal.problems)
    if not spans:
        return Trace(workflow_id, (), ("the journal has nothing of it",), ended=False)
    if stored is None:
        problems.append("the artifact store is elsewhere, so calls of models and tools are missing")
    else:
        calls = CallSpans(workflow_id, spans)
        calls.read(stored)
        problems += calls.problems
    problems += _unaccounted(spans, tasks)
    root, *others = spans
    ordered = (root, *sorted(others, key=lambda span: span.start))
    ended = root.status is not SpanStatus.UNSET
    problems += faults(ordered, ended=ended)
    return Trace(workflow_id, ordered, tuple(dict.fromkeys(problems)), ended)


def faults(spans: Sequence[Span], *, ended: bool) -> Iterator[str]:
    """What is wrong with spans whatever they are about: roots, parents, ids, ends."""
    roots = [span for span in spans if span.parent_id is None]
    if len(roots) != 1:
        yield f"there are {len(roots)} roots instead of one"
    ids = Counter(span.span_id for span in spans)
    yield from (f"span {span_id} is there {count} times" for span_id, count in ids.items() if count > 1)
    for span in spans:
        if span.parent_id is not None and span.parent_id not in ids:
            yield f"{span.name} {span.span_id} is an orphan: its parent {span.parent_id} is missing"
        if span.end is None and ended:
            yield f"{span.name} {span.span_id} has no end, though the workflow has"


def _unaccounted(spans: Sequence[Span], tasks: Mapping[str, TaskFacts]) -> Iterator[str]:
    """Put on each task what its outcomes have reported and no call shows, so that nothing is missing."""
    shown: dict[tuple[str, str], float] = defaultdict(float)
    for call in (span.attributes for span in spans if span.name == MODEL_CALL):
        for name in (c.INPUT_TOKENS, c.OUTPUT_TOKENS, c.COST):
            shown[str(call[c.TASK_ID]), name] += float(call[name])
    for span in [one for one in spans if one.name == TASK]:
        task_id = str(span.attributes[c.TASK_ID])
        reported = tasks[task_id].usage if task_id in tasks else Usage()
        lacking = Usage(
            input_tokens=max(0, reported.input_tokens - int(shown[task_id, c.INPUT_TOKENS])),
            output_tokens=max(0, reported.output_tokens - int(shown[task_id, c.OUTPUT_TOKENS])),
            cost_usd=max(0.0, reported.cost_usd - shown[task_id, c.COST]),
        )
        if lacking.input_tokens or lacking.output_tokens or lacking.cost_usd > _CENT_PARTS:
            span.attributes |= usage(lacking)
            tokens = lacking.input_tokens + lacking.output_tokens
            yield f"{tokens} tokens (${lacking.cost_usd:.4f}) of task {task_id} are on no call"
