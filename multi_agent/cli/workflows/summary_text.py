"""The summary of a workflow in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from contracts.base.text import flowing
from multi_agent.application.ends.summary import Summary
from orchestrator.core.state import WorkflowStatus

_SHOWN_FILES = 12
_SHOWN_FINDINGS = 10
_COLUMNS = 80
_REASON = 300
_MEND = (
    "no change of the code helps: give the repository the package, program, service or setting that is "
    "missing (`environment build` shows what it has), then try again"
)


def summary_lines(summary: Summary) -> list[str]:
    """One line for each thing worth knowing, what kind of end it is and the request in the first.

    Where something around the code is at fault, that and the reason are in the first, and what to do follows.
    """
    done = summary.status == WorkflowStatus.COMPLETED.value
    lines = ["", _first_line(summary)]
    if summary.environment_fault:
        request = textwrap.shorten(flowing(summary.request), _REASON, placeholder=" ...")
        lines += field_lines("request", request)
        lines += field_lines("mend it", _MEND)
    if not done and summary.reason:
        lines += field_lines("why", flowing(summary.reason))
    if summary.untested:
        lines += field_lines("untested", f"no test looked at the code of {', '.join(summary.untested)}")
    if summary.files:
        more = " ..." if len(summary.files) > _SHOWN_FILES else ""
        shown = ", ".join(summary.files[:_SHOWN_FILES]) + more
        lines += field_lines("built", shown)
    if summary.repository_settings:
        lines += field_lines("settings", f"of the repository: {'; '.join(summary.repository_settings)}")
    if summary.baseline:
        lines += field_lines("baseline", f"before this work: {flowing(summary.baseline)}")
    if summary.test_reports:
        lines += _tests_lines(summary)
    if summary.tests_flaky:
        shown = ", ".join(flowing(test) for test in summary.tests_flaky[:_SHOWN_FINDINGS])
        lines += field_lines("flaky", f"failed, and passed when the same was run again: {shown}")
    lines += _findings_lines(summary)
    lines.append(_work_line(summary))
    lines += _model_lines(summary)
    if summary.commit:
        lines.append(f"  branch     {summary.branch}")
        lines.append(f"  commit     {summary.commit}")
    return lines


def _end(summary: Summary) -> str:
    words = [summary.status.capitalize()]
    if summary.status == WorkflowStatus.COMPLETED.value:
        words = ["Done", *(["UNTESTED"] if summary.untested else [])]
    return ", ".join([*words, *(["the repository's tests cannot run"] if summary.baseline_obstacle else [])])


def field_lines(name: str, text: str) -> list[str]:
    """A name and its text, in lines of a usual terminal; a word that is longer stays whole."""
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=f"  {name:10} ",
        subsequent_indent=" " * 13,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _first_line(summary: Summary) -> str:
    begin = f"{_end(summary)}: "
    if summary.environment_fault:
        return begin + textwrap.shorten(flowing(summary.environment_fault), _REASON, placeholder=" ...")
    return begin + textwrap.shorten(flowing(summary.request), _COLUMNS - len(begin), placeholder=" ...")


def _tests_lines(summary: Summary) -> Iterator[str]:
    percent = summary.coverage_percent
    by = f" by {summary.coverage_by}" if summary.coverage_by else ""
    cover = "" if percent is None else f", {percent:.0f} % line coverage{by}"
    total = summary.tests_passed + summary.tests_failed
    reports = f" in {summary.test_reports} reports" if summary.test_reports > 1 else ""
    passed = f"{summary.tests_passed} of {total} passed"
    yield f"  tests      {passed}{reports}{cover} (sandbox: {summary.sandbox})"
    if summary.tests_apart:
        yield f"             {summary.tests_apart} of them in another process than the code"


def _findings_lines(summary: Summary) -> list[str]:
    lines = [
        f"{one.fate}: {one.severity}{f' ({one.place})' if one.path else ''}: {flowing(one.message)}"
        for one in summary.findings[:_SHOWN_FINDINGS]
    ]
    if (more := len(summary.findings) - len(lines)) > 0:
        lines.append(f"and {more} more")
    return listed_lines("findings", lines)


def listed_lines(name: str, texts: Iterable[str]) -> list[str]:
    """Several texts under one name."""
    return [line for number, text in enumerate(texts) for line in field_lines("" if number else name, text)]


def _work_line(summary: Summary) -> str:
    plural = "cycle" if summary.debug_cycles == 1 else "cycles"
    cycles = f", {summary.debug_cycles} debug {plural}" if summary.debug_cycles else ""
    return f"  work       {summary.tasks} tasks, {summary.attempts} attempts{cycles}, {summary.seconds:.1f} s"


def _model_lines(summary: Summary) -> list[str]:
    calls = [f"{summary.planning_calls} to plan"] if summary.planning_calls else []
    calls += [f"{count} by {flowing(name)} instead" for name, count in summary.stand_ins.items()]
    which = f" ({', '.join(calls)})" if calls else ""
    cached = f" ({summary.cached_input_tokens} cached)" if summary.cached_input_tokens else ""
    tokens = f"{summary.input_tokens} tokens in{cached}, {summary.output_tokens} out"
    budget = field_lines("budget", summary.budget) if summary.budget else []
    return [f"  model      {summary.model_calls} calls{which}, {tokens}, {_cost(summary)}", *budget]


def _cost(summary: Summary) -> str:
    return "cost unknown: no prices are set" if summary.cost_usd is None else f"${summary.cost_usd:.4f}"
