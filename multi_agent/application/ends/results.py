"""What a workflow produced: its result, or what a failed one offers, as a folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput
from contracts.base.refs import UNVERIFIED, branch_name
from contracts.base.text import flowing
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.offers import accepted_tips, is_unfinished
from orchestrator.core.state import TaskState, TaskStatus, Workflow, WorkflowStatus

if TYPE_CHECKING:
    from artifacts import GitArtifactStore

OFFER_SECONDS = 10.0
"""How long a run that failed waits for its work to be offered."""
_POLL_SECONDS = 0.1
_UNFINISHED = "; its work is unfinished, as its last step left it"


@dataclass(frozen=True, slots=True)
class OfferedWork:
    """What a failed workflow offers, unverified."""

    branch: str
    commit: str
    against: tuple[str, ...]
    """`task: why` of each task that did not succeed."""
    left_out: tuple[str, ...]
    """`task: why` of each outcome that conflicts with what was taken before it."""


async def offered_work(
    client: WorkflowClient, view: WorkflowView, *, wait_seconds: float = 0.0
) -> OfferedWork | None:
    """What a failed workflow offers; None when it is nothing, or not known within `wait_seconds`."""
    if not _may_offer(view):
        return None
    name, until = view.header.workflow_id, time.monotonic() + wait_seconds
    while (offer := await client.offered(name)) is None:
        if time.monotonic() >= until:
            return None
        await asyncio.sleep(_POLL_SECONDS)
    against = tuple(_against(view))
    return OfferedWork(branch_name(name, UNVERIFIED), offer.commit, against, offer.left_out)


async def check_out(artifacts: GitArtifactStore, view: WorkflowView, folder: Path) -> None:
    """Check the result, or what a failed workflow offers, out as a Git repository in a new folder.

    Raises InvalidInput when the workflow has neither, or for a folder that cannot be used, and ArtifactError
    when its work is not offered yet.
    """
    header = view.header
    if header.result_commit is not None:
        await artifacts.checkout(branch_name(header.workflow_id), folder)
    elif _may_offer(view):
        await artifacts.checkout(branch_name(header.workflow_id, UNVERIFIED), folder)
    else:
        why = "left no files" if header.status is WorkflowStatus.COMPLETED else f"is {header.status.value}"
        raise InvalidInput(f"workflow {header.workflow_id} {why}; it has no result to check out")


def _may_offer(view: WorkflowView) -> bool:
    failed = view.header.status is WorkflowStatus.FAILED
    return failed and bool(accepted_tips(Workflow.load(view.header, view.tasks)))


def _against(view: WorkflowView) -> Iterator[str]:
    bad = [task for task in view.tasks if task.status is not TaskStatus.SUCCEEDED]
    yield from (f"{task.task_id}: {_why(task)}{_UNFINISHED if is_unfinished(task) else ''}" for task in bad)
    if not bad:
        yield flowing(view.header.reason)


def _why(task: TaskState) -> str:
    if task.tests is not None and task.tests.failure is not None:
        return flowing(task.tests.failure.sentence)
    return flowing(task.error.message) if task.error is not None else f"was not done ({task.status.value})"
