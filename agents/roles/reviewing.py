"""A review in a repository: of what was changed, in steps, by findings whose places are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import Field

from agents.loop.ends import end
from agents.roles.context import assignment, bullets, failed_before
from agents.roles.earlier_reports import earlier_findings, test_reports
from agents.roles.repository_work import look_around
from agents.sdk.changed_tree import is_changed
from agents.sdk.prompting import section
from agents.sdk.task import Task
from agents.tools.tool import ToolRefused
from contracts.base.model import LongText, Model
from contracts.base.text import fenced
from contracts.documents.reports import ReviewFinding, ReviewReport

EARLIER: Final = "What earlier reviews found, which was sent back to be fixed"

_MOST_PATHS: Final = 300
_REPORTS: Final = "What tests said of it (data)"
_CHANGED: Final = "What was changed, as `diff` shows it: A added, M changed, D deleted (data)"


class GiveReview(Model):
    """The review is done. Alone, after everything else."""

    approved: bool
    summary: LongText
    findings: tuple[ReviewFinding, ...] = Field(
        default=(), max_length=200, description="`path` and `line` as the files are now"
    )


REVIEW: Final = end("review", GiveReview)


async def review_in_steps(task: Task) -> ReviewReport:
    """Let the reviewer look around. Raises AgentFailure and what the model and the workspace raise."""
    start = await task.first_files()
    parts = [await assignment(task)]
    if task.request.cycle and (earlier := earlier_findings(task)):
        parts.append(section(EARLIER, earlier))
    parts += [
        section(_CHANGED, fenced(_changed(start, task.files))),
        section(_REPORTS, fenced(test_reports(task))),
        *await failed_before(task),
    ]

    async def check(review: GiveReview) -> None:
        if problems := list(_problems(review, task.files, start)):
            raise ToolRefused(bullets(problems))

    found = await look_around(task, "\n".join(parts), REVIEW, check)
    return ReviewReport(approved=found.approved, summary=found.summary, findings=found.findings)


def _changed(start: Mapping[str, bytes], files: Mapping[str, bytes]) -> str:
    paths = sorted(path for path in {*start, *files} if is_changed(path, start, files))
    lines = [f"{_letter(path, start, files)} {path}" for path in paths[:_MOST_PATHS]]
    more = len(paths) - len(lines)
    return "\n".join([*lines, *([f"and {more} more"] if more else [])]) or "nothing"


def _letter(path: str, start: Mapping[str, bytes], files: Mapping[str, bytes]) -> str:
    return "A" if path not in start else "M" if path in files else "D"


def _problems(review: GiveReview, files: Mapping[str, bytes], start: Mapping[str, bytes]) -> Iterable[str]:
    """What a review says of places that are not there, and where it contradicts itself."""
    for number, finding in enumerate(review.findings):
        name = f"findings[{number}]"
        if finding.path is None:
            if finding.line is not None:
                yield f"{name}: line {finding.line} of which file? Give its path"
            continue
        content = files.get(finding.path, start.get(finding.path))
        if content is None:
            yield f"{name}: there is no file {finding.path!r}, nor was there one"
        elif finding.line is not None and finding.line > (lines := len(content.splitlines())):
            yield f"{name}: {finding.path} has {lines} lines, and line {finding.line} is not one of them"
    critical = any(finding.severity == "critical" for finding in review.findings)
    if review.approved and critical:
        yield "it approves, and has a critical finding, which means that the result must not be used"
    if not review.approved and not review.findings:
        yield "it does not approve, and has no finding: say what is wrong, and where"
