"""docs/asyncapi.yaml: no drift, every event on a channel, every reference met, every payload a JSON Schema.

AsyncAPI's own JSON Schema is not at hand without a network, so the rules of AsyncAPI 3.0 that matter here are
checked one by one: required fields, forms of names, addresses and their parameters, actions, references.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from contracts.messages.channels import Channels
from contracts.messages.events import EVENT_DATA, EventType, encode
from contracts.schema import asyncapi
from tests.contracts.events import event

DOCUMENT: dict[str, Any] = yaml.safe_load(asyncapi.TARGET.read_text(encoding="utf-8"))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for member in node:
            yield from references(member)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)


def resolve(reference: str) -> Any:
    target: Any = DOCUMENT
    assert reference.startswith("#/")
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target


def test_the_file_is_what_the_registry_gives() -> None:
    assert asyncapi.TARGET.read_text(encoding="utf-8") == asyncapi.generate()
    assert asyncapi.document() == DOCUMENT
    assert CliRunner().invoke(asyncapi.main, []).exit_code == 0


def test_required_fields_and_names() -> None:
    assert re.fullmatch(r"3\.0\.\d+", DOCUMENT["asyncapi"])
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert DOCUMENT.keys() <= {
        "asyncapi",
        "info",
        "defaultContentType",
        "channels",
        "operations",
        "components",
    }
    for section in DOCUMENT["components"].values():
        assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in section)


def test_references_are_met() -> None:
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        resolve(reference)


@pytest.mark.parametrize("channel", DOCUMENT["channels"].values(), ids=DOCUMENT["channels"])
def test_channels(channel: dict[str, Any]) -> None:
    assert set(re.findall(r"{(\w+)}", channel["address"])) == channel.get("parameters", {}).keys()
    assert channel["messages"]
    for message in channel["messages"].values():
        assert resolve(message["$ref"])["name"] in set(EventType)


def test_operations_name_an_action_and_a_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert re.fullmatch(r"#/channels/\w+", operation["channel"]["$ref"])
    used = {operation["channel"]["$ref"] for operation in DOCUMENT["operations"].values()}
    assert used == {f"#/channels/{name}" for name in DOCUMENT["channels"]}


def test_every_event_type_and_every_stream_is_described() -> None:
    travelling = {
        resolve(message["$ref"])["name"]
        for channel in DOCUMENT["channels"].values()
        for message in channel["messages"].values()
    }
    assert travelling == set(EventType)
    addresses = {channel["address"].split(".{")[0] for channel in DOCUMENT["channels"].values()}
    streams = {
        value for name, value in vars(Channels).items() if name.isupper() and not name.endswith("_GROUP")
    }
    assert addresses == streams


@pytest.mark.parametrize("kind", EventType)
def test_payloads_are_schemas_that_accept_our_events(kind: EventType) -> None:
    message = DOCUMENT["components"]["messages"][EVENT_DATA[kind].__name__]
    schema = {"$ref": message["payload"]["$ref"], "components": DOCUMENT["components"]}
    Draft202012Validator.check_schema(resolve(message["payload"]["$ref"]))
    document = json.loads(encode(event(kind)))
    assert Draft202012Validator(schema).is_valid(document)
    assert not Draft202012Validator(schema).is_valid(document | {"data": {"surprise": 1}})


def test_a_changed_file_is_reported(tmp_path: Path) -> None:
    text = asyncapi.generate()
    (tmp_path / "asyncapi.yaml").write_text(text + "x: 1\n")
    assert asyncapi.differs(tmp_path / "asyncapi.yaml")
    (tmp_path / "asyncapi.yaml").write_text(text)
    assert not asyncapi.differs(tmp_path / "asyncapi.yaml")
    assert asyncapi.differs(tmp_path / "none.yaml")
