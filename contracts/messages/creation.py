"""Events made by hand: ids and times are filled in, and every fault is named."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping

from pydantic import BaseModel

from contracts.base.strict_json import to_json
from contracts.base.timestamps import rfc3339
from contracts.messages.channels import Channels


def envelope(
    event_type: str,
    data: object,
    source: str,
    correlation_id: str | None,
    workflow_id: str | None,
    task_id: str | None,
) -> bytes:
    """An event of now as JSON, not checked yet. Raises InvalidDocument for data that is no JSON."""
    attributes = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": source,
        "type": event_type,
        "subject": task_id,
        "time": rfc3339(time.time()),
        "correlationid": correlation_id,
        "workflowid": workflow_id,
        "taskid": task_id,
        "data": data.model_dump(mode="json") if isinstance(data, BaseModel) else data,
    }
    return to_json({name: value for name, value in attributes.items() if value is not None}, "event")


def dispatch_data(data: object) -> object:
    """The data of a dispatch, absent fields filled in. The fields of a TodoItem alone are its item."""
    given = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
    if not isinstance(given, Mapping):
        return given
    request = {"item": dict(given)} if "agent_role" in given else dict(given)
    item = request.get("item")
    outputs = item.get("output_artifacts", ()) if isinstance(item, Mapping) else ()
    defaults = {
        "dispatch_id": uuid.uuid4().hex,
        "reply_to": Channels.AGENT_RESULTS,
        "attempt": 1,
        "created_at": int(time.time()),
        "request": "",
        "writable": outputs,
    }
    return defaults | request
