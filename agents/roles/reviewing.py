"""A review in a repository: of what was changed, in steps, by findings whose places are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import Field

from agents.loop.ends import end
from agents.roles.context import assignment, bullets, changed_section, failed_before
from agents.roles.earlier_reports import earlier_findings, test_reports
from agents.roles.repository_work import look_around
from agents.sdk.prompting import section
from agents.sdk.task import Task
from agents.tools.tool import ToolRefused
from contracts.base.model import LongText, Model
from contracts.base.text import fenced
from contracts.documents.reports import ReviewFinding, ReviewReport

EARLIER: Final = "What earlier reviews found, which was sent back to be fixed"

_REPORTS: Final = "What tests said of it (data)"


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
        changed_section(start, task.files),
        section(_REPORTS, fenced(test_reports(task))),
        *await failed_before(task),
    ]

    async def check(review: GiveReview) -> None:
        if problems := list(_problems(review, task.files, start)):
            raise ToolRefused(bullets(problems))

    found = await look_around(task, "\n".join(parts), REVIEW, check)
    return ReviewReport(approved=found.approved, summary=found.summary, findings=found.findings)


def _lines(content: bytes) -> list[str]:
    """As `read` numbers them."""
    return content.decode("utf-8", "replace").splitlines()


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
        elif finding.line is not None and finding.line > (lines := len(_lines(content))):
            yield f"{name}: {finding.path} has {lines} lines, and line {finding.line} is not one of them"
    critical = any(finding.severity == "critical" for finding in review.findings)
    if review.approved and critical:
        yield "it approves, and has a critical finding, which means that the result must not be used"
    if not review.approved and not review.findings:
        yield "it does not approve, and has no finding: say what is wrong, and where"
