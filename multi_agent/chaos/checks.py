"""Checks the invariants against the journal, the artifacts and the notes of failpoints."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from artifacts import GitArtifactStore
from contracts.base.errors import ArtifactError
from contracts.base.refs import is_metadata
from contracts.documents.todo_list import TodoList
from contracts.messages.journal import (
    JournalEvent,
    OutcomeRefused,
    TaskDispatched,
    TaskSucceeded,
    UnknownEvent,
)
from multi_agent.chaos.load import CANCELLED, expected_files
from multi_agent.chaos.scratch_system import CANARY, RUN, ScratchSystem
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.state import TaskStatus, WorkflowStatus
from sandbox_runner.local.launchers import abandoned

_ALL_EVENTS = 1_000_000
_Event = JournalEvent | UnknownEvent
MAX_CRASHES = 3


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A violation of an invariant."""

    promise: str
    """The invariant, such as "I2"."""
    text: str
    """What was found."""


@dataclass(frozen=True, slots=True)
class WorkflowCheck:
    """The result of the checks of one workflow."""

    findings: list[FailedCheck]
    refused: int
    """How many outcomes were refused as stale."""
    dispatches: list[str]
    """"<workflow id> <dispatch id>" of each dispatch."""


async def check_workflow(
    client: WorkflowClient, artifacts: GitArtifactStore, view: WorkflowView, plan: TodoList
) -> WorkflowCheck:
    """Check a workflow that has ended."""
    name = view.header.workflow_id
    entries = await client.events(name, limit=_ALL_EVENTS)
    events = [entry.event for entry in entries]
    findings = _journal(view, events)
    if plan.todo_list_id.startswith("stuck-"):
        findings += _ended(view)
    if plan.todo_list_id.startswith("poison-"):
        findings += _poisoned(view)
    elif plan.todo_list_id.startswith(CANCELLED):
        findings += _cancelled(view)
    elif view.header.status is not WorkflowStatus.COMPLETED:
        findings.append(FailedCheck("I1", f"{name} is {view.header.status}: {view.header.reason}"))
    else:
        findings += await _outcome(artifacts, view, plan)
    dispatches = [f"{name} {event.dispatch_id}" for event in events if isinstance(event, TaskDispatched)]
    refused = sum(isinstance(event, OutcomeRefused) for event in events)
    return WorkflowCheck(findings, refused, dispatches)


def _journal(view: WorkflowView, events: list[_Event]) -> list[FailedCheck]:
    name = view.header.workflow_id
    done_at = {event.task_id: at for at, event in enumerate(events) if isinstance(event, TaskSucceeded)}
    counts = Counter(event.task_id for event in events if isinstance(event, TaskSucceeded))
    findings = [
        FailedCheck("I2", f"{name}/{task}: {count} outcomes were accepted")
        for task, count in counts.items()
        if count > 1
    ]
    findings += _outdated_outcomes(name, events)
    needs = {task.task_id: task.dependencies for task in view.tasks}
    for at, event in enumerate(events):
        if not isinstance(event, TaskDispatched):
            continue
        task_id = event.task_id
        if any(done_at.get(need, at) >= at for need in needs.get(task_id, ())):
            findings.append(
                FailedCheck("I6", f"{name}/{task_id} was dispatched before what it needs was done")
            )
        if done_at.get(task_id, at) < at:
            findings.append(FailedCheck("I4", f"{name}/{task_id} was dispatched after it had succeeded"))
    return findings


def _outdated_outcomes(name: str, events: list[_Event]) -> list[FailedCheck]:
    """Check that every accepted outcome has the latest dispatch of its task (I3)."""
    newest: dict[str, str] = {}
    findings = []
    for event in events:
        match event:
            case TaskDispatched():
                newest[event.task_id] = event.dispatch_id
            case TaskSucceeded() if event.dispatch_id != newest.get(event.task_id):
                findings.append(
                    FailedCheck("I3", f"{name}/{event.task_id}: an outdated outcome was accepted")
                )
    return findings


async def _outcome(artifacts: GitArtifactStore, view: WorkflowView, plan: TodoList) -> list[FailedCheck]:
    name = view.header.workflow_id
    assert view.header.result_commit is not None
    try:
        tree = await artifacts.read_tree(view.header.result_commit)
    except ArtifactError as error:
        return [FailedCheck("I2", f"{name}: the outcome cannot be read: {error}")]
    files = {path: text for path, text in tree.items() if not is_metadata(path)}
    if files == expected_files(plan):
        return []
    return [FailedCheck("I2", f"{name}: the outcome holds {sorted(files)}, or other contents than it must")]


def _poisoned(view: WorkflowView) -> list[FailedCheck]:
    name, tasks = view.header.workflow_id, {task.task_id: task for task in view.tasks}
    expected = {
        "poison": TaskStatus.DEAD,
        "after": TaskStatus.BLOCKED,
        "innocent": TaskStatus.SUCCEEDED,
    }
    found = {task_id: task.status for task_id, task in tasks.items()}
    findings = []
    if found != expected:
        findings.append(FailedCheck("I7", f"{name} ended as {found}"))
    if tasks["poison"].crashes != MAX_CRASHES:
        findings.append(
            FailedCheck("I7", f"{name}: poison was parked after {tasks['poison'].crashes} crashes")
        )
    return findings


def _cancelled(view: WorkflowView) -> list[FailedCheck]:
    if view.header.status is WorkflowStatus.CANCELLED:
        return []
    return [FailedCheck("I1", f"{view.header.workflow_id} was cancelled and is {view.header.status}")]


def executions_of(world: ScratchSystem, workflow_id: str) -> int:
    """How many executions of a workflow have begun, as far as the failpoints' log was read."""
    return sum(point == RUN and about.startswith(f"{workflow_id} ") for point, about in world.notes)


def check_cancelled(world: ScratchSystem) -> list[FailedCheck]:
    """Check that nothing of a cancelled workflow was started once workers could know of it (I3)."""
    started = {name: executions_of(world, name) - before for name, before in world.cancelled.items()}
    return [
        FailedCheck("I3", f"{count} tasks of {name} were started after it was cancelled")
        for name, count in started.items()
        if count
    ]


def _ended(view: WorkflowView) -> list[FailedCheck]:
    """Check that ending an agent is no crash, neither its own nor its neighbour's (I11)."""
    return [
        FailedCheck("I11", f"{view.header.workflow_id}/{task.task_id}: {task.crashes} crashes are counted")
        for task in view.tasks
        if task.crashes
    ]


def check_model_calls(world: ScratchSystem) -> list[FailedCheck]:
    """Check that a model call whose answer was stored is not made again (I4)."""
    stored: set[str] = set()
    findings = []
    for point, about in world.notes:
        if point == "worker.after_exchange":
            stored.add(about)
        elif point == "worker.before_model" and about in stored:
            findings.append(FailedCheck("I4", f"the model was asked again what was answered: {about}"))
    return findings


def check_runs(world: ScratchSystem, dispatched: set[str]) -> list[FailedCheck]:
    """Check that no dispatch ran that was never committed (I3)."""
    ran = {about for point, about in world.notes if point == RUN}
    return [FailedCheck("I3", f"a dispatch ran that was not committed: {one}") for one in ran - dispatched]


def check_secrets(world: ScratchSystem) -> list[FailedCheck]:
    """Check that the secret from the environment of the processes is in no log."""
    logs = [path for path in Path(world.wanted.folder).rglob("*.log") if path.is_file()]
    return [
        FailedCheck("secrecy", f"a secret is in {path.name}")
        for path in logs
        if CANARY.encode() in path.read_bytes()
    ]


def left_behind(world: ScratchSystem) -> list[FailedCheck]:
    """Find processes that still run in the scratch folder after the end, and orphaned sandboxes.

    The processes of a sandbox run in another folder and are found by the process that started them.
    """
    found = {*working_in(world.wanted.folder), *abandoned()}
    return [FailedCheck("leftovers", f"process {pid} was left behind") for pid in sorted(found)]


def working_in(folder: Path) -> list[int]:
    """Return the ids of processes whose current folder is this one or below it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
    return found
