"""Why a workflow has not ended, and whether the invariants hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.base.errors import BusUnavailable, InvalidInput
from contracts.base.processes.command_lines import command_line
from contracts.messages.channels import Channels
from contracts.ports.bus import MessageBus
from orchestrator.client.queries import WorkflowQueries
from orchestrator.diagnosis.explain import Reason, explain
from orchestrator.diagnosis.observe import observe_surroundings
from orchestrator.diagnosis.remedies import with_remedies
from orchestrator.diagnosis.verify import InspectedStore, VerificationReport, examine
from orchestrator.storage.sql.database import Database

INVARIANTS: Mapping[str, str] = {
    "I1": "every open task is waiting, queued or held by a worker",
    "I2": "every task counts once",
    "I3": "what was accepted is what Git holds",
    "I6": "no task started before its dependencies succeeded; Git is sound",
}
"""What is verified, in words."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the unfinished tasks of a workflow wait for."""

    workflow_id: str
    reasons: list[Reason]
    """Empty when the workflow has ended."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified, and how."""

    report: VerificationReport
    without_bus: bool
    """Whether the bus was away, so that what workers hold was not checked."""


async def explain_workflow(
    database: Database,
    bus: MessageBus | None,
    name: str | None,
    task_id: str | None = None,
    *,
    listen_seconds: float,
    served: bool | None,
    workers_can_join: bool,
) -> Explanation:
    """Explain a workflow, or only one of its tasks; the newest workflow when None.

    Listens to orchestrators and workers for at most `listen_seconds`; a lease is long enough. Raises
    InvalidInput for a workflow or task that does not exist.

    name: a beginning or end of its id.
    served: whether an orchestrator lives; None when it is not known.
    workers_can_join: whether a worker that is started by itself finds the bus.
    """
    workflow_id = await WorkflowQueries(database).resolve(name)
    workflow, observations = await observe_surroundings(
        database, bus, workflow_id, listen_seconds=listen_seconds, served=served
    )
    found = explain(workflow, observations)
    reasons = with_remedies(workflow_id, workflow, found, workers_can_join=workers_can_join)
    if task_id is None:
        return Explanation(workflow_id, reasons)
    if workflow is None or task_id not in workflow.tasks:
        command = command_line("status", workflow_id)
        raise InvalidInput(f"workflow {workflow_id} has no task {task_id!r}; `{command}` lists them")
    return Explanation(workflow_id, [one for one in reasons if one.task_id in {None, task_id}])


async def verify_system(
    database: Database,
    bus: MessageBus | None,
    artifacts: InspectedStore | None,
    *,
    bus_may_be_away: bool,
    listen_seconds: float,
) -> Verification:
    """Verify the invariants while everything runs; see orchestrator.diagnosis.verify.examine.

    Raises BusUnavailable unless `bus_may_be_away`, and StoreUnavailable.
    """
    without_bus = bus is not None and bus_may_be_away and not await _answers(bus)
    used = None if without_bus else bus
    report = await examine(database, used, artifacts, listen_seconds=listen_seconds)
    return Verification(report, without_bus)


async def _answers(bus: MessageBus) -> bool:
    try:
        await bus.depth(Channels.DEAD_LETTERS)
    except BusUnavailable:
        return False
    return True
