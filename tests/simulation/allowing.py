"""What people allowed: nothing that needs it runs without an approval of its own, used up by its dispatch."""

from __future__ import annotations

from orchestrator.core.approvals.actions import action_hash, needed
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow
from tests.simulation.violations import check


class Allowed:
    """Approvals as people gave them, compared with what is committed."""

    def __init__(self) -> None:
        self.given: set[str] = set()
        """Hashes that a person ever approved."""
        self._over: set[str] = set()
        """Hashes of approvals that count no more."""

    def approve(self, workflow: Workflow, task: TaskState) -> str:
        """The hash with which a person allows what waits."""
        self.given.add(wanted := action_hash(workflow, task))
        return wanted

    def check(self, header: Header, old: TaskState | None, task: TaskState) -> None:
        """Look at a version that is committed."""
        given = task.approval
        if task.status is TaskStatus.DISPATCHED and needed(header, task.item) is not None:
            check(given is not None, f"{task.task_id} runs, and nobody allowed it")
            if given is not None and (old is None or old.dispatch_id != task.dispatch_id):
                mine = given.state == "consumed" and given.dispatch_id == task.dispatch_id
                check(mine, f"{task.task_id} runs with an approval that it did not use")
                check(given.action_hash in self.given, f"{task.task_id} runs, and nobody approved it")
                check(given.action_hash not in self._over, f"{task.task_id} runs with an old approval")
        if given is not None and given.state in {"unknown", "expired", "changed", "denied"}:
            needs = needed(header, task.item)
            if given.state != "unknown" or needs is None or not needs.idempotent:
                self._over.add(given.action_hash)
