"""Messages that are put together without their models are what the models would make of them."""

from __future__ import annotations

import json

from contracts.bus.connect import open_message_bus
from contracts.documents.repository_settings import RepositorySettings
from contracts.messages.channels import SHARDS, Channels
from contracts.messages.events import EventType, decode, encode
from contracts.messages.payloads import CommandNotice, TaskRequest
from multi_agent.bootstrap import make_client
from multi_agent.settings import Settings
from orchestrator.core.sharding import ShardAssignment
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.scheduling.messages import request_message
from orchestrator.storage.sql.database import Database
from orchestrator.storage.store import Store
from tests.orchestrator.plans import item, plan


def test_a_dispatch_is_what_its_model_makes_of_it() -> None:
    made = plan(item("a"), item("b", "a", required_tag="gpu", output_artifacts=("src/",)))
    workflow = Workflow.start("w", made, shard=5, now=1.0)
    for parents in ((), ("f" * 40,)):
        task = workflow.tasks["b"]._replace(
            status=TaskStatus.DISPATCHED, dispatch_id="d", attempt=2, dispatched_at=1.5, parents=parents
        )
        sent = request_message(workflow.header, task)
        event = decode(sent.payload)
        assert json.loads(encode(event)) == json.loads(sent.payload)
        assert isinstance(event.data, TaskRequest)
        assert (event.data.item, event.data.parents) == (task.item, parents)


def test_a_dispatch_says_what_the_repository_says() -> None:
    said = RepositorySettings(test="pytest -q", protected=("migrations/",))
    workflow = Workflow.start("w", plan(item("a")), shard=5, now=1.0, base_commit="b" * 40, repository=said)
    task = workflow.tasks["a"]._replace(status=TaskStatus.DISPATCHED, dispatch_id="d", attempt=1)
    event = decode(request_message(workflow.header, task).payload)
    assert isinstance(event.data, TaskRequest)
    assert (event.data.base_commit, event.data.repository) == ("b" * 40, said)
    without = request_message(workflow.header._replace(repository=None), task).payload
    assert b"repository" not in without, "a worker of the release before reads it"


async def test_a_stored_command_is_announced_to_the_orchestrators(database: Database) -> None:
    bus = open_message_bus("memory://commands")
    subscription = bus.subscribe([Channels.COMMANDS])
    await subscription.ready()
    name = await make_client(Settings(), database, bus).submit(plan(item("a")))
    _, payload = await anext(aiter(subscription))
    event = decode(payload)
    assert (event.type, type(event.data)) == (EventType.COMMAND_ADDED, CommandNotice)
    assert json.loads(encode(event)) == json.loads(payload)
    waiting = await Store(database).waiting_commands(ShardAssignment(dict.fromkeys(range(SHARDS), 1)))
    assert [(one.command_id, one.workflow_id) for one in waiting] == [(event.data.command_id, name)]
    await subscription.close()
    await bus.close()
