"""The text of a pull or merge request: computed from what is known, without a model.

Whatever comes from outside stands in fences or code spans, so it can name nobody, link nowhere and look like
no part of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from contracts.base.text import fenced, flowing, visible

if TYPE_CHECKING:
    from artifacts.delivery.differences import ChangedFile
    from multi_agent.application.delivery.delivered import Delivered
    from multi_agent.application.delivery.evidence import Evidence
    from multi_agent.application.ends.summary import Summary

_MOST_FILES: Final = 50
_MOST_LINES: Final = 20
_REQUEST_CHARACTERS: Final = 8_000
_LINE_CHARACTERS: Final = 300
_UNDO: Final = (
    "Before it is merged: close it and delete its branch. Afterwards:",
    "",
    "```sh",
    "git revert -m 1 MERGE_COMMIT    # without -m 1 where it was squashed to one commit",
    "```",
)


def request_text(
    delivered: Delivered, summary: Summary, files: Sequence[ChangedFile], evidence: Evidence
) -> str:
    """The whole text, as Markdown."""
    sections = {
        "Request": [fenced(visible(summary.request)[:_REQUEST_CHARACTERS], "text")],
        "What changed": list(_files(files)),
        "Evidence": list(_evidence(delivered, summary, evidence)),
        "Not proved": list(_not_proved(delivered, summary)) or ["- Nothing is known that speaks against it."],
        "Cost": [_cost(summary)],
        "How to undo": list(_UNDO),
    }
    parts = [f"## {name}\n\n" + "\n".join(lines) for name, lines in sections.items()]
    base = delivered.base[:12] if delivered.base else "nothing"
    parts.append(f"Made by multi-agent, workflow `{delivered.workflow_id}`, from {base}.")
    return "\n\n".join(parts) + "\n"


def _files(files: Sequence[ChangedFile]) -> Iterator[str]:
    for file in files[:_MOST_FILES]:
        lines = "binary" if file.added is None else f"+{file.added} -{file.deleted}"
        yield f"- {file.status} {_code(file.path)} {lines}"
    if len(files) > _MOST_FILES:
        yield f"- and {len(files) - _MOST_FILES} more files"


def _evidence(delivered: Delivered, summary: Summary, evidence: Evidence) -> Iterator[str]:
    yield f"- {_level(delivered, summary)}"
    if summary.test_reports:
        total = summary.tests_passed + summary.tests_failed
        backend = f", in the sandbox {_code(summary.sandbox)} without a network" if summary.sandbox else ""
        reports = f"{summary.test_reports} report{'s' if summary.test_reports > 1 else ''}"
        yield f"- {summary.tests_passed} of {total} tests passed in {reports}{backend}."
    if summary.baseline:
        yield f"- The repository's own tests before this work: {_code(summary.baseline)}"
    if evidence.mended:
        yield "- Failed before and pass now:"
        yield from _listed(evidence.mended)
    if evidence.commands:
        yield "- To run them:"
        yield from _listed(evidence.commands)


def _level(delivered: Delivered, summary: Summary) -> str:
    if not delivered.completed:
        return "**Unverified**: the workflow failed; this is the work that it has."
    if summary.untested:
        return "**Not tested**: the workflow completed, and no test looked at some or all of its code."
    if not summary.test_reports:
        return "**Completed**: it has no code that tests could look at, and none ran."
    return "**Verified**: every test and every review of the workflow passed."


def _not_proved(delivered: Delivered, summary: Summary) -> Iterator[str]:
    against = delivered.offered.against if delivered.offered else ()
    left_out = delivered.offered.left_out if delivered.offered else ()
    obstacle = (summary.baseline_obstacle,) if summary.baseline_obstacle else ()
    remarks = (
        f"{one.severity}: {f'{one.place}: ' if one.path else ''}{one.message}"
        for one in summary.findings
        if one.fate != "fixed"
    )
    for what, entries in (
        ("Speaks against it:", against),
        ("Left out, since it conflicts:", left_out),
        ("The repository's own tests cannot run:", obstacle),
        ("No test looked at the code of:", summary.untested),
        ("Failed, and passed when the same was run again:", summary.tests_flaky),
        ("Remarks of reviewers that stay:", tuple(remarks)),
    ):
        if entries:
            yield f"- {what}"
            yield from _listed(entries)


def _listed(entries: Sequence[str]) -> Iterator[str]:
    yield from (f"  - {_code(entry)}" for entry in entries[:_MOST_LINES])
    if len(entries) > _MOST_LINES:
        yield f"  - and {len(entries) - _MOST_LINES} more"


def _cost(summary: Summary) -> str:
    cost = "cost unknown" if summary.cost_usd is None else f"${summary.cost_usd:.4f}"
    tokens = f"{summary.input_tokens} tokens in, {summary.output_tokens} out"
    return f"{summary.model_calls} calls of models, {tokens}, {cost}, {summary.seconds:.0f} s."


def _code(text: str) -> str:
    """Text of others on one line, as a code span that it cannot leave."""
    line = flowing(text)[:_LINE_CHARACTERS]
    ticks = "`" * (max(map(len, _runs(line)), default=0) + 1)
    space = " " if "`" in line else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def _runs(line: str) -> Iterable[str]:
    """The runs of backticks in a line."""
    return "".join(char if char == "`" else " " for char in line).split()
