"""The summary of a workflow in words."""

from __future__ import annotations

import textwrap

from contracts.base.text import flowing
from multi_agent.application.summary import Summary
from orchestrator.core.state import WorkflowStatus

_SHOWN_FILES = 12


def summary_lines(summary: Summary) -> list[str]:
    """One line for each thing worth knowing."""
    done = summary.status == WorkflowStatus.COMPLETED.value
    lines = ["", f"{'Done' if done else summary.status.capitalize()}: {flowing(summary.request)}"]
    if not done and summary.reason:
        lines.append(f"  why        {flowing(summary.reason)}")
    if summary.files:
        more = " ..." if len(summary.files) > _SHOWN_FILES else ""
        shown = ", ".join(summary.files[:_SHOWN_FILES]) + more
        lines += textwrap.wrap(f"  built      {shown}", 100, subsequent_indent=" " * 13)
    if summary.tests_passed or summary.tests_failed:
        lines.append(_tests_line(summary))
    lines.append(_work_line(summary))
    tokens = f"{summary.input_tokens} tokens in, {summary.output_tokens} out"
    lines.append(f"  model      {summary.model_calls} calls, {tokens}, {_cost(summary)}")
    if summary.commit:
        lines.append(f"  branch     {summary.branch}")
        lines.append(f"  commit     {summary.commit}")
    return lines


def _cost(summary: Summary) -> str:
    tokens = summary.input_tokens + summary.output_tokens
    return f"${summary.cost_usd:.4f}" if summary.cost_usd or not tokens else "cost unknown: no prices are set"


def _tests_line(summary: Summary) -> str:
    percent = summary.coverage_percent
    cover = "" if percent is None else f", {percent:.0f} % line coverage"
    total = summary.tests_passed + summary.tests_failed
    return f"  tests      {summary.tests_passed} of {total} passed{cover} (sandbox: {summary.sandbox})"


def _work_line(summary: Summary) -> str:
    plural = "cycle" if summary.debug_cycles == 1 else "cycles"
    cycles = f", {summary.debug_cycles} debug {plural}" if summary.debug_cycles else ""
    return f"  work       {summary.tasks} tasks, {summary.attempts} attempts{cycles}, {summary.seconds:.1f} s"
