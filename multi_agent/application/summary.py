"""What a workflow amounts to when a run has ended."""

from __future__ import annotations

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
    """The figures of a workflow."""

    workflow_id: str
    status: str
    reason: str
    request: str
    files: tuple[str, ...]
    """What differs from the base commit."""
    tests_passed: int
    """Tests as the last report has them."""
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
    """From submission to end."""
    sandbox: str
    """The backend that was used last."""
    branch: str | None
    commit: str | None
    store: str
    """Where the artifact store is."""

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A workflow that has ended, or waits for approval, and its figures."""

    view: WorkflowView
    summary: Summary

    @property
    def waiting_for_approval(self) -> tuple[str, ...]:
        """Tasks without whose approval nothing goes on."""
        if not self.view.stands_still:
            return ()
        return tuple(task.task_id for task in self.view.waiting_for_approval)


async def summarise(view: WorkflowView, store: GitArtifactStore, location: str) -> Summary:
    """Gather the figures of a workflow. `location` is where the store is."""
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
