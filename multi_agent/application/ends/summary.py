"""What a workflow amounts to when a run has ended."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

from agents.sdk.baselines import load_baseline
from contracts.base.errors import MultiAgentError
from contracts.base.paths import EVERYWHERE
from contracts.base.refs import branch_name, is_metadata
from contracts.base.secrets.redaction import without_password
from contracts.documents.baseline import Baseline
from contracts.messages.payloads import Usage
from multi_agent.application.ends.unmoved import check_unmoved
from multi_agent.application.ends.verdicts import (
    Failure,
    FindingFate,
    count_tests,
    environment_fault,
    failures,
    findings,
    untested_tasks,
)
from multi_agent.application.spending.budgets import budget_state
from orchestrator.core.offers import accepted_tips
from orchestrator.core.state import TaskState, Workflow, WorkflowStatus

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from multi_agent.application.ends.results import OfferedWork
    from orchestrator.client.views import WorkflowView


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a workflow."""

    workflow_id: str
    status: str
    reason: str
    request: str
    files: tuple[str, ...]
    """What differs from the base commit; of a workflow that is not at its end, in what there is so far."""
    tests_passed: int
    """Tests over the last report of each test task."""
    tests_failed: int
    tests_apart: int
    """Of those that passed, how many did so in another process than the code they test."""
    coverage_percent: float | None
    tasks: int
    attempts: int
    debug_cycles: int
    model_calls: int
    """Calls, tokens and cost include those of planning, as far as this workflow knows of them."""
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None where it is not known, as no prices are set."""
    seconds: float
    """From submission to end, or until now."""
    sandbox: str
    """The backend that was used last."""
    branch: str | None
    commit: str | None
    store: str
    """Where the artifact store is."""
    planning_calls: int = 0
    test_reports: int = 0
    untested: tuple[str, ...] = ()
    """Tasks of a completed workflow whose code no test looked at."""
    failures: tuple[Failure, ...] = ()
    findings: tuple[FindingFate, ...] = ()
    repository_settings: tuple[str, ...] = ()
    """What the repository says about work in it, each setting in words."""
    baseline: str = ""
    """How the repository's own tests ended before this work, in words; "" where that is not known."""
    cached_input_tokens: int = 0
    """Of the input tokens, those that the service had from an earlier request."""
    baseline_obstacle: str = ""
    """Why they cannot run; "" where they can, or that is not known."""
    tests_flaky: tuple[str, ...] = ()
    """Tests of the repository that failed, and passed when the same was run again."""
    coverage_by: str = ""
    """Which tests the coverage is of, in words; "" for all that the plan names."""
    stand_ins: dict[str, int] = field(default_factory=dict)
    """Of the calls, how many other models of a list answered than its first, by their names."""
    environment_fault: str = ""
    """What is missing or broken around the code, for which the workflow failed; "" for nothing."""
    budget: str = ""
    """What was spent of what, in words; "" without a budget."""

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A workflow that has ended, or waits for a person, and its figures."""

    view: WorkflowView
    summary: Summary
    offered: OfferedWork | None = None
    """What a failed workflow offers."""
    test_commands: tuple[str, ...] = ()
    """What runs the tests in a checkout of the result, or of the offer."""

    @property
    def waiting_for_approval(self) -> tuple[str, ...]:
        """Tasks without whose approval nothing goes on."""
        if not self.view.stands_still:
            return ()
        return tuple(task.task_id for task in self.view.waiting_for_approval)

    @property
    def waiting_for_answer(self) -> tuple[str, ...]:
        """Tasks without an answer to which nothing goes on."""
        if not self.view.stands_still:
            return ()
        return tuple(task.task_id for task in self.view.waiting_for_answer)

    @property
    def waiting_for_budget(self) -> tuple[str, ...]:
        """Tasks that go on when their workflow may spend more."""
        if not self.view.stands_still:
            return ()
        return tuple(task.task_id for task in self.view.waiting_for_budget)


async def summarise(view: WorkflowView, store: GitArtifactStore, location: str, planning: Usage) -> Summary:
    """Gather the figures of a workflow. `location` is where the store is.

    Raises ArtifactError when somebody moved the branch of its result.
    """
    header, tasks = view.header, view.tasks
    if header.result_commit is not None:
        await check_unmoved(store, branch_name(header.workflow_id), header.result_commit)
    tests = count_tests(tasks)
    files = await _changed_files(view, store)
    baseline = await _baseline(view, store)
    used = reduce(Usage.plus, (task.usage for task in tasks), planning)
    return Summary(
        workflow_id=header.workflow_id,
        status=header.status.value,
        reason=header.reason,
        request=header.request,
        files=files,
        tests_passed=tests.passed,
        tests_failed=tests.failed,
        tests_apart=tests.apart,
        coverage_percent=tests.coverage_percent,
        tasks=len(tasks),
        attempts=sum(task.attempt for task in tasks),
        debug_cycles=max((task.cycle for task in tasks), default=0),
        model_calls=used.model_calls,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cached_input_tokens=used.cached_input_tokens or 0,
        cost_usd=_cost(used),
        stand_ins=used.stand_ins or {},
        seconds=round(max(0.0, (header.finished_at or time.time()) - header.created_at), 2),
        sandbox=next((task.backend for task in reversed(tasks) if task.backend), ""),
        branch=branch_name(header.workflow_id) if header.result_commit else None,
        commit=header.result_commit,
        store=without_password(location),
        planning_calls=planning.model_calls,
        test_reports=tests.reports,
        untested=untested_tasks(tasks, files if header.status is WorkflowStatus.COMPLETED else ()),
        failures=tuple(failures(tasks)),
        findings=tuple(findings(tasks)),
        repository_settings=header.repository.lines if header.repository else (),
        baseline=baseline.sentence if baseline else "",
        baseline_obstacle=baseline.obstacle if baseline else "",
        tests_flaky=tests.flaky,
        coverage_by="the tests of this work" if _is_single(tasks) else "",
        budget=state.sentence if (state := budget_state(view)) else "",
        environment_fault="" if header.result_commit else environment_fault(tasks),
    )


def _cost(used: Usage) -> float | None:
    cost = round(used.cost_usd, 6)
    return None if not cost and used.input_tokens + used.output_tokens else cost


def _is_single(tasks: Iterable[TaskState]) -> bool:
    """Whether one agent did everything: what is measured then are the tests that are new or changed."""
    return any(EVERYWHERE in task.item.output_artifacts for task in tasks)


async def _baseline(view: WorkflowView, store: GitArtifactStore) -> Baseline | None:
    if view.header.base_commit is None:
        return None
    try:
        return await load_baseline(store, view.header.workflow_id)
    except MultiAgentError:
        return None


async def _changed_files(view: WorkflowView, store: GitArtifactStore) -> tuple[str, ...]:
    header = view.header
    commits = [header.result_commit] if header.status is WorkflowStatus.COMPLETED else _so_far(view)
    try:
        base = await store.open_tree(header.base_commit) if header.base_commit else None
        trees = [(await store.open_tree(commit)).content_names for commit in commits if commit is not None]
    except MultiAgentError:
        return ()
    before = {} if base is None else base.content_names
    paths = {
        path
        for after in trees
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path) and not is_metadata(path)
    }
    return tuple(sorted(paths))


def _so_far(view: WorkflowView) -> list[str | None]:
    """The commits of a workflow that goes on, as those of which it waits for a person."""
    if view.header.status.terminal:
        return []
    accepted = accepted_tips(Workflow.load(view.header, view.tasks))
    return [task.commit for task in (*accepted, *view.waiting_for_answer, *view.waiting_for_budget)]
