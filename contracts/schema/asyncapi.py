"""Generates docs/asyncapi.yaml from the messages: `python -m contracts.schema.asyncapi [--check|--write]`.

A tool for a checkout: it needs PyYAML, which only the `dev` extra installs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import yaml

from contracts.base.model import SCHEMA_VERSION
from contracts.base.printing import print_line
from contracts.messages.channels import SHARDS, Channels
from contracts.messages.events import EVENT_DATA, EventType
from contracts.schema.files import envelope_name, event_schemas

TARGET: Final = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"

_PARAMETERS: Final = {
    "role": "an agent role such as coder",
    "tag": "a capability that a task requires with required_tag",
    "shard": f"a logical shard, 0 to {SHARDS - 1}",
    "worker": "a worker's id",
    "workflow": "the id of a workflow",
    "caller": "the id of a caller of sandbox hosts, usually that of a worker",
    "host": "the id of a sandbox host",
}


class _Channel(NamedTuple):
    """An address with its sender and receiver, of which the document takes the view of one."""

    name: str
    address: str
    description: str
    sender: str
    receiver: str
    events: tuple[EventType, ...]
    parameters: tuple[str, ...] = ()


_CHANNELS: Final = (
    _Channel(
        "requests",
        Channels.requests("{role}"),
        "Tasks for one role; a stream that the group 'workers' reads.",
        "orchestrator",
        "worker",
        (EventType.TASK_DISPATCHED,),
        ("role",),
    ),
    _Channel(
        "taggedRequests",
        Channels.requests("{role}", "{tag}"),
        "Tasks for agents of one role that offer one capability.",
        "orchestrator",
        "worker",
        (EventType.TASK_DISPATCHED,),
        ("role", "tag"),
    ),
    _Channel(
        "suspects",
        Channels.suspects("{role}"),
        "Tasks for one role that a worker held when it died; each runs alone on its worker.",
        "orchestrator",
        "worker",
        (EventType.TASK_DISPATCHED,),
        ("role",),
    ),
    _Channel(
        "taggedSuspects",
        Channels.suspects("{role}", "{tag}"),
        "As suspects, for agents of one role that offer one capability.",
        "orchestrator",
        "worker",
        (EventType.TASK_DISPATCHED,),
        ("role", "tag"),
    ),
    _Channel(
        "results",
        f"{Channels.AGENT_RESULTS}.{{shard}}",
        "Outcomes for the owner of a shard; repeated until acknowledged.",
        "worker",
        "orchestrator",
        (EventType.TASK_FINISHED,),
        ("shard",),
    ),
    _Channel(
        "heartbeats",
        Channels.HEARTBEATS,
        "Signs of life of workers, with what they serve and hold; pub/sub only, for all orchestrators.",
        "worker",
        "orchestrator",
        (EventType.WORKER_HEARTBEAT, EventType.WORKER_LEFT),
    ),
    _Channel(
        "control",
        Channels.control("{worker}"),
        "Acknowledgements and recalls for one worker; pub/sub only.",
        "orchestrator",
        "worker",
        (EventType.WORKER_CONTROL,),
        ("worker",),
    ),
    _Channel(
        "steps",
        Channels.steps("{workflow}"),
        "Steps of the agents of one workflow, for whoever looks on; pub/sub only, and nothing depends on it.",
        "worker",
        "observer",
        (EventType.STEP_TAKEN,),
        ("workflow",),
    ),
    _Channel(
        "deadLetters",
        Channels.DEAD_LETTERS,
        "Messages that could not be read, with the reason and the bytes.",
        "worker",
        "orchestrator",
        (EventType.MESSAGE_DEAD_LETTERED,),
    ),
    _Channel(
        "workflowEvents",
        Channels.WORKFLOW_EVENTS,
        "Hints for observers; the journal in the database says what changed.",
        "orchestrator",
        "observer",
        (EventType.WORKFLOW_CHANGED,),
    ),
    _Channel(
        "commands",
        Channels.COMMANDS,
        "Hints that the commands table has a new entry.",
        "client",
        "orchestrator",
        (EventType.COMMAND_ADDED,),
    ),
    _Channel(
        "sandboxRequests",
        Channels.SANDBOX_REQUESTS,
        "Programs to run; a stream that the group 'sandbox-hosts' reads.",
        "caller",
        "host",
        (EventType.SANDBOX_REQUESTED,),
    ),
    _Channel(
        "sandboxResults",
        Channels.sandbox_results("{caller}"),
        "Results of one caller's programs, answers of its workspaces; pub/sub only, repeated until received.",
        "host",
        "caller",
        (EventType.SANDBOX_FINISHED, EventType.WORKSPACE_ANSWERED),
        ("caller",),
    ),
    _Channel(
        "sandboxHosts",
        Channels.SANDBOX_HOSTS,
        "Signs of life of hosts, with what they hold; pub/sub only.",
        "host",
        "caller",
        (EventType.SANDBOX_HEARTBEAT,),
    ),
    _Channel(
        "sandboxControl",
        Channels.SANDBOX_CONTROL,
        "What callers wait for, have received and have cancelled; pub/sub only.",
        "caller",
        "host",
        (EventType.SANDBOX_CONTROL,),
    ),
    _Channel(
        "sandboxWorkspaces",
        Channels.sandbox_workspaces("{host}"),
        "What is asked of one host's workspaces; pub/sub only, repeated until answered.",
        "caller",
        "host",
        (EventType.WORKSPACE_ASKED,),
        ("host",),
    ),
)


def generate() -> str:
    """The AsyncAPI 3.0 document as YAML."""
    text: str = yaml.safe_dump(document(), sort_keys=False, width=110, allow_unicode=True)
    return f"# Generated by python -m contracts.schema.asyncapi --write; do not edit.\n{text}"


def differs(file: Path) -> bool:
    """Whether the file is missing or is not what `generate` gives."""
    return not file.is_file() or file.read_text(encoding="utf-8") != generate()


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0 document. Every event type of the registry is a message on at least one channel."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "multi-agent messages",
            "version": SCHEMA_VERSION,
            "description": (
                "CloudEvents 1.0 in JSON over Redis. Work travels on streams with consumer groups; the "
                "channel of the same name mirrors every message. Delivery is at least once."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {channel.name: _channel(channel) for channel in _CHANNELS},
        "operations": dict(_operations()),
        "components": {
            "messages": {EVENT_DATA[kind].__name__: _message(kind) for kind in EventType},
            "parameters": {name: {"description": text} for name, text in _PARAMETERS.items()},
            "schemas": _moved(event_schemas()),
        },
    }


def _channel(channel: _Channel) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "address": channel.address,
        "description": channel.description,
        "messages": {
            EVENT_DATA[kind].__name__: _reference("messages", EVENT_DATA[kind].__name__)
            for kind in channel.events
        },
    }
    if channel.parameters:
        entry["parameters"] = {name: _reference("parameters", name) for name in channel.parameters}
    return entry


def _operations() -> Iterable[tuple[str, dict[str, Any]]]:
    for channel in _CHANNELS:
        for action, party in (("send", channel.sender), ("receive", channel.receiver)):
            name = f"{party}{action.capitalize()}s{channel.name[0].upper()}{channel.name[1:]}"
            place = {"$ref": f"#/channels/{channel.name}"}
            yield name, {"action": action, "channel": place, "summary": f"{party}: {channel.description}"}


def _message(kind: EventType) -> dict[str, Any]:
    data = EVENT_DATA[kind]
    return {
        "name": kind.value,
        "title": data.__name__,
        "summary": (data.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/cloudevents+json",
        "payload": _reference("schemas", envelope_name(kind)),
    }


def _reference(section: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{section}/{name}"}


def _moved(schema: Any) -> Any:
    """The schemas with references into `$defs` turned into references into the components."""
    if isinstance(schema, list):
        return [_moved(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(value)
        for key, value in schema.items()
    }


@click.command()
@click.option("--write/--check", "writes", default=False, help="Write the file, or only compare (default).")
def main(writes: bool) -> None:
    """Write or check docs/asyncapi.yaml; exits 1 when it differs from the registry."""
    if writes:
        TARGET.write_text(generate(), encoding="utf-8")
    if differs(TARGET):
        print_line(f"{TARGET} differs; run python -m contracts.schema.asyncapi --write", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
