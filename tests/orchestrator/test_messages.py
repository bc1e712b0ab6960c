"""Messages that are put together without their models are what the models would make of them."""

from __future__ import annotations

import json

from contracts.messages.events import TaskRequest, decode, encode
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.scheduling.messages import request_message
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
