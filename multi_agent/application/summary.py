"""What a finished workflow amounts to, for people and for programs."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from contracts.base.errors import MultiAgentError
from contracts.base.refs import branch_name, is_metadata
from orchestrator.core.state import WorkflowStatus

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from orchestrator.client.views import WorkflowView


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures. seconds from submission to end; tests are those of the last report."""

    workflow_id: str
    status: str
    reason: str
    request: str
    files: tuple[str, ...]
    tests_passed: int
    tests_failed: int
    coverage_percent: float | None
    tasks: int
    attempts: int
    debug_cycles: int
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    seconds: float
    sandbox: str
    branch: str | None
    commit: str | None
    store: str

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


async def summarise(view: WorkflowView, store: GitArtifactStore, location: str) -> Summary:
    """Gather the figures of a workflow; files are those that differ from the base."""
    header, tasks = view.header, view.tasks
    reports = [task for task in tasks if task.tests is not None]
    tests = reports[-1].tests if reports else None
    return Summary(
        workflow_id=header.workflow_id,
        status=header.status.value,
        reason=header.reason,
        request=header.request,
        files=await _changed_files(view, store),
        tests_passed=tests.passed if tests else 0,
        tests_failed=tests.failed if tests else 0,
        coverage_percent=tests.coverage_percent if tests else None,
        tasks=len(tasks),
        attempts=sum(task.attempt for task in tasks),
        debug_cycles=max((task.cycle for task in tasks), default=0),
        model_calls=sum(task.usage.model_calls for task in tasks),
        input_tokens=sum(task.usage.input_tokens for task in tasks),
        output_tokens=sum(task.usage.output_tokens for task in tasks),
        cost_usd=round(sum(task.usage.cost_usd for task in tasks), 6),
        seconds=round((header.finished_at or header.created_at) - header.created_at, 2),
        sandbox=next((task.backend for task in reversed(tasks) if task.backend), ""),
        branch=branch_name(header.workflow_id) if header.result_commit else None,
        commit=header.result_commit,
        store=location,
    )


async def _changed_files(view: WorkflowView, store: GitArtifactStore) -> tuple[str, ...]:
    header = view.header
    if header.status is not WorkflowStatus.COMPLETED or header.result_commit is None:
        return ()
    try:
        result = await store.read_tree(header.result_commit)
        base = await store.read_tree(header.base_commit) if header.base_commit else {}
    except MultiAgentError:
        return ()
    changed = {path for path, content in result.items() if base.get(path) != content} | (
        base.keys() - result.keys()
    )
    return tuple(sorted(path for path in changed if not is_metadata(path)))


def summary_lines(summary: Summary) -> list[str]:
    """The summary in words."""
    done = summary.status == WorkflowStatus.COMPLETED.value
    lines = ["", f"{'Done' if done else summary.status.capitalize()}: {summary.request}"]
    if not done and summary.reason:
        lines.append(f"  why        {summary.reason}")
    if summary.files:
        shown = ", ".join(summary.files[:12]) + (" ..." if len(summary.files) > 12 else "")
        lines += textwrap.wrap(f"  built      {shown}", 100, subsequent_indent=" " * 13)
    if summary.tests_passed or summary.tests_failed:
        cover = (
            "" if summary.coverage_percent is None else f", {summary.coverage_percent:.0f} % line coverage"
        )
        total = summary.tests_passed + summary.tests_failed
        lines.append(
            f"  tests      {summary.tests_passed} of {total} passed{cover} (sandbox: {summary.sandbox})"
        )
    plural = "cycle" if summary.debug_cycles == 1 else "cycles"
    cycles = f", {summary.debug_cycles} debug {plural}" if summary.debug_cycles else ""
    lines.append(
        f"  work       {summary.tasks} tasks, {summary.attempts} attempts{cycles}, {summary.seconds:.1f} s"
    )
    tokens = f"{summary.input_tokens} tokens in, {summary.output_tokens} out"
    lines.append(f"  model      {summary.model_calls} calls, {tokens}, ${summary.cost_usd:.4f}")
    if summary.commit:
        lines.append(f"  branch     {summary.branch}")
        lines.append(f"  commit     {summary.commit}")
    return lines
