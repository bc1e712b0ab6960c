"""Commands that are applied or refused, several of them in one batch."""

from __future__ import annotations

from contracts.bus.connect import open_message_bus
from contracts.messages.journal import CommandRefused
from orchestrator.core.commands import ApproveBody, Body, CancelBody, RejectBody, body_text
from orchestrator.core.state import WorkflowStatus
from orchestrator.scheduling.batch import Command
from orchestrator.scheduling.engine import Engine
from orchestrator.service.command_handler import CommandHandler
from orchestrator.storage.sql.database import Database
from orchestrator.storage.store import Store
from tests.orchestrator.plans import WORKFLOW, Play, item, plan
from tests.orchestrator.test_store import saved


async def test_a_refused_command_does_not_undo_what_its_batch_has_decided(database: Database) -> None:
    play = Play(plan(item("a", requires_approval=True), item("b")))
    store = Store(database)
    await saved(store, play)
    engine = Engine(lambda: "d1", window=4)
    engine.adopt(play.workflow, 0.0)
    command_handler = CommandHandler(engine, store, open_message_bus("memory://commands"))
    bodies: list[tuple[str, Body]] = [
        ("cancel", CancelBody(person="me")),
        ("approve", ApproveBody(task_id="a", action_hash="0" * 64, person="me")),
        ("reject", RejectBody(task_id="a", person="me")),
    ]
    for kind, body in bodies:
        await command_handler.handle(Command(kind, kind, WORKFLOW, body_text(body), known=False), 1.0, 1.0)
    batch, _ = engine.flush(1.0)
    assert [result.accepted for result in batch.answers.values()] == [True, False, False]
    refusals = [entry.command for _, entry in batch.journal if isinstance(entry, CommandRefused)]
    assert refusals == ["approve", "reject"], "what was accepted is no refusal in the journal"
    assert batch.headers[WORKFLOW].status is WorkflowStatus.CANCELLED
    assert {task.status.value for task in batch.tasks.values()} == {"cancelled"}


async def test_a_command_of_a_newer_release_is_refused_in_words(database: Database) -> None:
    engine = Engine(lambda: "d1", window=4)
    command_handler = CommandHandler(engine, Store(database), open_message_bus("memory://commands"))
    await command_handler.handle(Command("c1", "applaud", WORKFLOW, "{}", known=False), 1.0, 1.0)
    [result] = engine.flush(1.0)[0].answers.values()
    assert str(result.refusal).startswith("there is no command of kind 'applaud'")
