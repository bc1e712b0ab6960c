"""A trace as lines of a terminal: who called whom, when in the whole, how long, for what."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from contracts.base.text import flowing
from multi_agent.telemetry.tracing import conventions as c
from multi_agent.telemetry.tracing.spans import Span, SpanStatus
from multi_agent.telemetry.tracing.trace import Trace

_BAR: Final = 30
_NAME: Final = 44
_SHOWN_BY: Final = (c.TASK_ID, c.TOOL, c.PURPOSE, c.DECISION_KIND, "multi_agent.waits_for")


def waterfall(trace: Trace, now: float | None = None) -> Iterator[tuple[str, str]]:
    """Each line with its style. now: in seconds since 1970, until which what goes on is drawn."""
    if not trace.spans:
        return
    root, until = trace.spans[0], time.time() if now is None else now
    children: dict[str, list[Span]] = defaultdict(list)
    for span in trace.spans[1:]:
        children[span.parent_id or ""].append(span)
    begin = min(span.start for span in trace.spans)
    end = max(until if span.end is None else span.end for span in trace.spans)
    waiting = [(root, 0)]
    while waiting:
        span, depth = waiting.pop()
        yield _line(span, depth, begin, max(end - begin, 1e-6), until), _style(span)
        waiting += [(child, depth + 1) for child in reversed(children[span.span_id])]
    yield _sums(trace), ""


def _line(span: Span, depth: int, begin: float, length: float, until: float) -> str:
    end = until if span.end is None else span.end
    first = min(_BAR - 1, int((span.start - begin) / length * _BAR))
    width = max(1, round((end - span.start) / length * _BAR))
    bar = (" " * first + "#" * min(width, _BAR - first)).ljust(_BAR)
    name = f"{'  ' * depth}{span.name} {_about(span)}".rstrip()
    name = name if len(name) <= _NAME else f"{name[: _NAME - 1]}~"
    seconds = "goes on" if span.end is None else f"{end - span.start:.2f} s"
    return f"{name:<{_NAME}} |{bar}| {seconds:>10}{_spent(span)}{_end(span)}"


def _about(span: Span) -> str:
    if span.name == "invoke_agent":
        return f"{span.attributes.get(c.AGENT, '')} attempt {span.attributes[c.ATTEMPT_NUMBER]}".strip()
    found = (span.attributes[name] for name in reversed(_SHOWN_BY) if name in span.attributes)
    return flowing(str(next(found, "")))


def _spent(span: Span) -> str:
    tokens = int(span.attributes.get(c.INPUT_TOKENS, 0)) + int(span.attributes.get(c.OUTPUT_TOKENS, 0))
    cost = float(span.attributes.get(c.COST, 0))
    return (f", {tokens:,} tokens" if tokens else "") + (f", ${cost:.4f}" if cost else "")


def _end(span: Span) -> str:
    if span.message:
        return f": {flowing(span.message)[:120]}"
    outcome = str(span.attributes.get(c.OUTCOME, ""))
    said = "refused" if span.attributes.get(c.REFUSED) else outcome if outcome != "succeeded" else ""
    return f" ({said})" if said else ""


def _style(span: Span) -> str:
    return "red" if span.status is SpanStatus.ERROR else ""


def _sums(trace: Trace) -> str:
    tokens = int(trace.total(c.INPUT_TOKENS) + trace.total(c.OUTPUT_TOKENS))
    return f"{len(trace.spans)} spans, {tokens:,} tokens, ${trace.total(c.COST):.4f}"
