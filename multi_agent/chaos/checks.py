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
from multi_agent.chaos.load import expected_files
from multi_agent.chaos.world import CANARY, World
from orchestrator.client.views import JournalEntry, WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.state import TaskStatus, WorkflowStatus
from sandbox_runner.local.launchers import abandoned

_ALL_EVENTS = 1_000_000
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
    findings = _journal(view, entries)
    if plan.todo_list_id.startswith("poison-"):
        findings += _poisoned(view)
    elif view.header.status is not WorkflowStatus.COMPLETED:
        findings.append(FailedCheck("I1", f"{name} is {view.header.status}: {view.header.reason}"))
    else:
        findings += await _outcome(artifacts, view, plan)
    dispatches = [
        f"{name} {entry.data['dispatch_id']}" for entry in entries if entry.kind == "task.dispatched"
    ]
    refused = sum(entry.kind == "outcome.refused" for entry in entries)
    return WorkflowCheck(findings, refused, dispatches)


def _journal(view: WorkflowView, entries: list[JournalEntry]) -> list[FailedCheck]:
    name = view.header.workflow_id
    succeeded = [entry for entry in entries if entry.kind == "task.succeeded"]
    counts = Counter(entry.task_id for entry in succeeded)
    findings = [
        FailedCheck("I2", f"{name}/{task}: {count} outcomes were accepted")
        for task, count in counts.items()
        if count > 1
    ]
    findings += _outdated_outcomes(name, entries)
    done_at = {entry.task_id: entry.sequence for entry in succeeded}
    needs = {task.task_id: task.dependencies for task in view.tasks}
    for entry in entries:
        task_id = entry.task_id
        if entry.kind != "task.dispatched" or task_id is None:
            continue
        if any(done_at.get(need, entry.sequence) >= entry.sequence for need in needs.get(task_id, ())):
            findings.append(
                FailedCheck("I6", f"{name}/{task_id} was dispatched before what it needs was done")
            )
        if done_at.get(task_id, entry.sequence) < entry.sequence:
            findings.append(FailedCheck("I4", f"{name}/{task_id} was dispatched after it had succeeded"))
    return findings


def _outdated_outcomes(name: str, entries: list[JournalEntry]) -> list[FailedCheck]:
    """Check that every accepted outcome has the latest dispatch of its task (I3)."""
    newest: dict[str | None, str] = {}
    findings = []
    for entry in entries:
        if entry.kind == "task.dispatched":
            newest[entry.task_id] = entry.data["dispatch_id"]
        elif entry.kind == "task.succeeded" and entry.data["dispatch_id"] != newest.get(entry.task_id):
            findings.append(FailedCheck("I3", f"{name}/{entry.task_id}: an outdated outcome was accepted"))
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


def check_model_calls(world: World) -> list[FailedCheck]:
    """Check that a model call whose answer was stored is not made again (I4)."""
    stored: set[str] = set()
    findings = []
    for point, about in world.notes:
        if point == "worker.after_exchange":
            stored.add(about)
        elif point == "worker.before_model" and about in stored:
            findings.append(FailedCheck("I4", f"the model was asked again what was answered: {about}"))
    return findings


def check_runs(world: World, dispatched: set[str]) -> list[FailedCheck]:
    """Check that no dispatch ran that was never committed (I3)."""
    ran = {about for point, about in world.notes if point == "worker.before_run"}
    return [FailedCheck("I3", f"a dispatch ran that was not committed: {one}") for one in ran - dispatched]


def check_secrets(world: World) -> list[FailedCheck]:
    """Check that the secret from the environment of the processes is in no log."""
    logs = [path for path in Path(world.wanted.folder).rglob("*.log") if path.is_file()]
    return [
        FailedCheck("secrecy", f"a secret is in {path.name}")
        for path in logs
        if CANARY.encode() in path.read_bytes()
    ]


def left_behind(world: World) -> list[FailedCheck]:
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
