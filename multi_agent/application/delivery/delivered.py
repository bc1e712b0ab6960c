"""What a workflow has to give: its result, or the unverified work of one that failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput
from contracts.base.refs import branch_name
from multi_agent.application.ends.results import OfferedWork, offered_work
from multi_agent.application.status import find_workflow
from orchestrator.core.state import WorkflowStatus

if TYPE_CHECKING:
    from orchestrator.client.views import WorkflowView
    from orchestrator.client.workflow_client import WorkflowClient


@dataclass(frozen=True, slots=True)
class Delivered:
    """A commit of the store, and what is known of it."""

    view: WorkflowView
    branch: str
    """Of the store."""
    commit: str
    offered: OfferedWork | None = None
    """What speaks against it, where it is not verified."""

    @property
    def workflow_id(self) -> str:
        """The workflow's id."""
        return self.view.header.workflow_id

    @property
    def base(self) -> str | None:
        """The commit that the work started from; None for nothing."""
        return self.view.header.base_commit

    @property
    def completed(self) -> bool:
        """Whether the workflow completed; otherwise it failed, and this is what it has."""
        return self.offered is None


async def find_delivered(client: WorkflowClient, name: str | None) -> Delivered:
    """Find it, by an unambiguous beginning or end of the workflow's id; of the newest workflow when None.

    Raises InvalidInput when there is no such workflow, or it has nothing to give.
    """
    view = await find_workflow(client, name)
    header = view.header
    if header.result_commit is not None:
        return Delivered(view, branch_name(header.workflow_id), header.result_commit)
    offered = await offered_work(client, view)
    if offered is not None:
        return Delivered(view, offered.branch, offered.commit, offered)
    done = header.status is WorkflowStatus.COMPLETED
    why = "left no files" if done else f"is {header.status.value} and has no result"
    raise InvalidInput(f"workflow {header.workflow_id} {why}; there is nothing to show or to take")
