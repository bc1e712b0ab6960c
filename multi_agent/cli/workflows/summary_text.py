"""The summary of a workflow in words."""

from __future__ import annotations

import textwrap

from contracts.base.text import flowing
from multi_agent.application.ends.summary import Summary
from orchestrator.core.state import WorkflowStatus

_SHOWN_FILES = 12
_SHOWN_FINDINGS = 10
_REQUEST_CHARACTERS = 100


def summary_lines(summary: Summary) -> list[str]:
    """One line for each thing worth knowing, what kind of end it is and the request in the first."""
    done = summary.status == WorkflowStatus.COMPLETED.value
    lines = ["", f"{_end(summary)}: {_one_line(summary.request)}"]
    if not done and summary.reason:
        lines.append(f"  why        {flowing(summary.reason)}")
    if summary.untested:
        lines.append(f"  untested   no test looked at the code of {', '.join(summary.untested)}")
    if summary.files:
        more = " ..." if len(summary.files) > _SHOWN_FILES else ""
        shown = ", ".join(summary.files[:_SHOWN_FILES]) + more
        lines += textwrap.wrap(f"  built      {shown}", 100, subsequent_indent=" " * 13)
    if summary.test_reports:
        lines.append(_tests_line(summary))
    lines += _findings_lines(summary)
    lines.append(_work_line(summary))
    lines.append(_model_line(summary))
    if summary.commit:
        lines.append(f"  branch     {summary.branch}")
        lines.append(f"  commit     {summary.commit}")
    return lines


def _end(summary: Summary) -> str:
    if summary.status != WorkflowStatus.COMPLETED.value:
        return summary.status.capitalize()
    return "Done, UNTESTED" if summary.untested else "Done"


def _one_line(request: str) -> str:
    return textwrap.shorten(flowing(request), _REQUEST_CHARACTERS, placeholder=" ...")


def _tests_line(summary: Summary) -> str:
    percent = summary.coverage_percent
    cover = "" if percent is None else f", {percent:.0f} % line coverage"
    total = summary.tests_passed + summary.tests_failed
    reports = f" in {summary.test_reports} reports" if summary.test_reports > 1 else ""
    passed = f"{summary.tests_passed} of {total} passed"
    return f"  tests      {passed}{reports}{cover} (sandbox: {summary.sandbox})"


def _findings_lines(summary: Summary) -> list[str]:
    lines = [
        f"{one.fate}: {one.severity}{f' ({one.path})' if one.path else ''}: {flowing(one.message)}"
        for one in summary.findings[:_SHOWN_FINDINGS]
    ]
    if (more := len(summary.findings) - len(lines)) > 0:
        lines.append(f"and {more} more")
    return [f"  {'' if number else 'findings':10} {line}" for number, line in enumerate(lines)]


def _work_line(summary: Summary) -> str:
    plural = "cycle" if summary.debug_cycles == 1 else "cycles"
    cycles = f", {summary.debug_cycles} debug {plural}" if summary.debug_cycles else ""
    return f"  work       {summary.tasks} tasks, {summary.attempts} attempts{cycles}, {summary.seconds:.1f} s"


def _model_line(summary: Summary) -> str:
    planning = f" ({summary.planning_calls} to plan)" if summary.planning_calls else ""
    tokens = f"{summary.input_tokens} tokens in, {summary.output_tokens} out"
    return f"  model      {summary.model_calls} calls{planning}, {tokens}, {_cost(summary)}"


def _cost(summary: Summary) -> str:
    tokens = summary.input_tokens + summary.output_tokens
    return f"${summary.cost_usd:.4f}" if summary.cost_usd or not tokens else "cost unknown: no prices are set"
