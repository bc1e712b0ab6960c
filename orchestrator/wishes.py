"""Commands that people and programs left in the database, applied once each by the owner."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.errors import InvalidInput
from orchestrator.batch import Command, shard_of
from orchestrator.decision import Entry
from orchestrator.engine import Engine
from orchestrator.state import Workflow
from orchestrator.store import Store
from orchestrator.submissions import SubmitBody, as_input, check_name, read_body


@dataclass(frozen=True, slots=True)
class Wishes:
    """Turns commands into inputs; the answer is stored in the transaction of what it did."""

    engine: Engine
    store: Store

    async def grant(self, command: Command, now: float, monotonic: float) -> None:
        """Apply one command, or say why not."""
        pending = self.engine.pending
        pending.durable = True
        pending.shards.add(shard_of(command.workflow_id))
        try:
            refused = await self._apply(command, now, monotonic)
        except InvalidInput as error:
            refused = str(error)
        pending.answers[command.command_id] = f"refused: {refused}" if refused else "done"
        if refused:
            entry = Entry("command.refused", None, {"command": command.kind, "why": refused})
            self.engine.note(command.workflow_id, entry)

    async def _apply(self, command: Command, now: float, monotonic: float) -> str | None:
        """Why the command is refused, None when it was applied."""
        name = check_name(command.workflow_id)
        body = read_body(command.body)
        workflow = self.engine.workflows.get(name) or await self.store.load(name)
        if isinstance(body, SubmitBody):
            if workflow is not None:
                return "a workflow with this id exists already"
            started = Workflow.start(
                name, body.plan, shard=shard_of(name), now=now, base_commit=body.base_commit
            )
            self.engine.submit(started, now, monotonic)
            return None
        if workflow is None:
            return f"there is no workflow {name}"
        stored = name not in self.engine.workflows
        if stored:
            self.engine.adopt(workflow, monotonic)
        refused = self.engine.take(name, as_input(body), now, monotonic).refused
        if refused and stored:
            # What this batch itself ended stays until the commit: the database knows nothing of it yet.
            self.engine.drop_ended([name])
        return refused
