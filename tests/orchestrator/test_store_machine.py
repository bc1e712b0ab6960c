"""Any sequence of commits, lost answers, reloads and takeovers leaves the database as the model has it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from contracts.base.errors import StoreUnavailable
from contracts.messages.journal import CommandRefused
from contracts.messages.journal_rows import encode_journal
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.events import Cancel, Finished, Lost, Merged, Overdue, Retry, WorkflowEvent
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import Workflow, WorkflowStatus
from orchestrator.scheduling.batch import Batch, OutboxEntry
from orchestrator.scheduling.engine import Effects, Engine
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.outbox import read_outbox
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.sql.transactions import Body
from orchestrator.storage.store import OwnershipLost, Store
from tests.orchestrator.plans import commit_of, failed, outcome, red_tests
from tests.orchestrator.test_core_properties import random_plan
from tests.orchestrator.test_store import everything, opened

T = TypeVar("T")
TABLES = "workflows, plans, tasks, journal, outbox, commands, dead_letters"


class LossyDatabase:
    """A database whose next answer to a write may be lost, after the real commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.lose_answer = False

    async def write(self, body: Body[T], *, durable: bool = False) -> T:
        done = await self._database.write(body, durable=durable)
        if self.lose_answer:
            self.lose_answer = False
            raise StoreUnavailable("the answer to a commit was lost")
        return done

    async def read(self, body: Body[T]) -> T:
        return await self._database.read(body)

    async def close(self) -> None:
        await self._database.close()


class StoreMachine(RuleBasedStateMachine):
    """An owner and what it should have stored; the model knows only batches whose commit took place."""

    url = ""
    runner: asyncio.Runner
    database: LossyDatabase

    @initialize()
    def start(self) -> None:
        self.store = Store(self.database)
        self.wait(self.database.write(_empty))
        self.numbers = 0
        self.workflows: dict[str, Workflow] = {}
        self.outbox: dict[str, OutboxEntry] = {}
        self.journal: list[tuple[str, str, str | None, dict[str, Any]]] = []
        self.assignment = self.wait(everything(self.store))
        self.reload()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def new_id(self) -> str:
        self.numbers += 1
        return f"d{self.numbers}"

    # --- what an owner does --------------------------------------------------------------------------

    @rule(seed=st.integers(0, 10_000))
    def submit(self, seed: int) -> None:
        name = f"wf-{self.new_id()}"
        workflow = Workflow.start(name, random_plan(random.Random(seed)), shard=shard_of(name), now=1.0)
        self.engine.submit(workflow, 1.0, 1.0)

    @rule(window=st.integers(0, 12))
    def fill(self, window: int) -> None:
        self.engine.window = window
        self.engine.dispatch_ready(2.0, 1e9)

    @rule(pick=st.integers(0, 30), kind=st.integers(0, 6))
    def progress(self, pick: int, kind: int) -> None:
        if not self.engine.in_flight:
            return
        dispatch_id = list(self.engine.in_flight)[pick % len(self.engine.in_flight)]
        workflow_id, name = self.engine.in_flight[dispatch_id]
        good = Finished(name, outcome(dispatch_id, commit=commit_of(name)))
        others: list[WorkflowEvent] = [
            Finished(name, failed(dispatch_id)),
            Finished(name, red_tests(dispatch_id)),
            Lost(name, dispatch_id, "w"),
            Overdue(name, dispatch_id),
        ]
        self.engine.apply(workflow_id, good if kind >= len(others) else others[kind], 3.0, 3.0)

    @rule(pick=st.integers(0, 30), kind=st.integers(0, 2))
    def wish(self, pick: int, kind: int) -> None:
        if self.engine.workflows:
            name = list(self.engine.workflows)[pick % len(self.engine.workflows)]
            event: WorkflowEvent = (Merged("a" * 40), Retry(None, "me"), Cancel("me"))[kind]
            refused = self.engine.apply(name, event, 4.0, 4.0).refused
            self.engine.record(name, CommandRefused("wished", refused or "no"))

    # --- commits -------------------------------------------------------------------------------------

    def flushed(self, settle: int = 0) -> tuple[Batch, Effects]:
        batch, effects = self.engine.flush(5.0)
        batch.delivered = list(self.outbox)[:settle]
        return batch, effects

    @rule(settle=st.integers(0, 3))
    def commit(self, settle: int) -> None:
        batch, effects = self.flushed(settle)
        self.wait(self.store.commit(batch, self.assignment))
        self.remember(batch)
        self.engine.drop_ended(effects.changed)

    @rule()
    def commit_whose_answer_is_lost(self) -> None:
        batch, _ = self.flushed()
        self.database.lose_answer = True
        with pytest.raises(StoreUnavailable):
            self.wait(self.store.commit(batch, self.assignment))
        self.remember(batch)
        self.reload()

    @rule()
    def reload(self) -> None:
        """A new session: what was not committed never happened."""
        self.engine = Engine(self.new_id, window=4)
        # What was settled beside something that was not comes back.
        self.outbox |= {one.entry_id: one for one in self.wait(self.store.load_outbox(self.assignment))}
        for workflow in self.wait(opened(self.store, self.assignment)):
            self.engine.adopt(workflow, 1.0)

    @rule()
    def taken_over(self) -> None:
        """The old owner's batch is refused as a whole, and the new owner goes on from the database."""
        batch, _ = self.flushed(settle=3)
        batch.shards.add(0)
        old, self.assignment = self.assignment, self.wait(everything(self.store, "another"))
        with pytest.raises(OwnershipLost):
            self.wait(self.store.commit(batch, old))
        self.reload()

    def remember(self, batch: Batch) -> None:
        """What the owner has in memory; nothing came between the batch and its commit."""
        for name in {*batch.created, *batch.headers, *(name for name, _ in batch.tasks)}:
            current = self.engine.workflows[name]
            self.workflows[name] = Workflow.load(current.header, current.tasks.values())
        self.journal += [(name, *encode_journal(entry)) for name, entry in batch.journal]
        self.outbox |= {entry.entry_id: entry for entry in batch.outbox}
        for entry_id in batch.delivered:
            self.outbox.pop(entry_id, None)

    # --- invariants ----------------------------------------------------------------------------------

    @invariant()
    def the_database_holds_what_was_committed(self) -> None:
        loaded = {one.header.workflow_id: one for one in self.wait(opened(self.store, self.assignment))}
        still_open = {
            name for name, workflow in self.workflows.items() if not workflow.header.status.terminal
        }
        assert loaded.keys() == still_open
        for name, expected in self.workflows.items():
            found = loaded.get(name) or self.wait(self.store.load(name))
            assert found is not None
            assert (found.header, found.tasks) == (expected.header, expected.tasks)
            assert list(found.tasks) == list(expected.tasks)
            if found.header.status is not WorkflowStatus.CANCELLED:
                left = sum(not task.status.terminal for task in found.tasks.values())
                assert found.header.open_tasks == left

    @invariant()
    def the_outbox_holds_what_is_not_settled(self) -> None:
        parcels = self.wait(self.database.read(read_outbox))
        assert self.outbox.items() <= {one.entry_id: one for parcel in parcels for one in parcel}.items()
        assert all(any(one.entry_id in self.outbox for one in parcel) for parcel in parcels)

    @invariant()
    def the_journal_lost_nothing(self) -> None:
        events = self.wait(WorkflowClient(self.database).events(limit=100_000))
        assert [(one.workflow_id, one.kind, one.task_id, one.data) for one in events] == self.journal


def _empty(connection: Any) -> None:
    for table in TABLES.split(", "):
        connection.execute(text(f"DELETE FROM {table}"))


def test_the_store_keeps_what_was_committed_and_nothing_else(database_url: str) -> None:
    upgrade(database_url)
    with asyncio.Runner() as runner:

        async def opened() -> LossyDatabase:
            return LossyDatabase(open_database(database_url))

        database = runner.run(opened())
        machine = type("Machine", (StoreMachine,), {"runner": runner, "database": database})
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=40,
                    stateful_step_count=30,
                    deadline=None,
                    derandomize=True,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(database.close())
