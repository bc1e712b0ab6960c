"""What a workflow produced: its commits, and its result as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput
from contracts.base.refs import branch_name
from orchestrator.client.views import WorkflowView
from orchestrator.core.state import WorkflowStatus

if TYPE_CHECKING:
    from artifacts import GitArtifactStore


async def check_out(artifacts: GitArtifactStore, view: WorkflowView, folder: Path) -> None:
    """Check the result out as a Git repository in a new folder.

    Raises InvalidInput when the workflow has no result, or for a folder that cannot be used.
    """
    header = view.header
    if header.result_commit is None:
        why = "left no files" if header.status is WorkflowStatus.COMPLETED else f"is {header.status.value}"
        raise InvalidInput(f"workflow {header.workflow_id} {why}; it has no result to check out")
    await artifacts.checkout(branch_name(header.workflow_id), folder)
