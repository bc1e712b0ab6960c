"""Events on the wire: our own codec, the committed schema and the CloudEvents SDK agree."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator

from contracts.base.errors import DecodeError
from contracts.messages.events import EVENT_DATA, MAX_MESSAGE_BYTES, EventType, decode, encode, encode_checked
from contracts.schema.registry import load_schema
from contracts.validate_contract import document_problems, schema_problems
from tests.contracts.events import DATA, event
from tests.support.loop_gap import MOST_SECONDS

EXTENSIONS = {"correlationid", "causationid", "workflowid", "taskid", "attempt"}


def _message(kind: str, data: str) -> bytes:
    head = '{"specversion":"1.0","id":"i","source":"s","time":"2026-01-01T00:00:00Z"'
    return f'{head},"type":"multiagent.{kind}","data":{{{data}}}}}'.encode()


HEARTBEAT = '"worker_id":"w","host":"h","pid":1,"roles":[],"streams":[],"slots":1,"sequence":1'
OUTCOME = '"dispatch_id":"d","execution_id":"e","worker_id":"w","status":"failed"'
LARGE_MESSAGES = {
    "empty executions": _message("worker.heartbeat", f'{HEARTBEAT},"executions":[{"{}," * 1_250_000}{{}}]'),
    "as many as are read": _message("worker.heartbeat", f'{HEARTBEAT},"executions":[{"{}," * 24_000}{{}}]'),
    "numbers for names": _message("worker.control", f'"recalled":[{"1," * 48_000}1]'),
    "unknown fields": _message(
        "task.finished", f"{OUTCOME}{''.join(f',{chr(34)}k{n}{chr(34)}:1' for n in range(24_000))}"
    ),
    "too many unknown fields": _message(
        "task.finished", ",".join([OUTCOME, *(f'"k{n}":1' for n in range(300_000))])
    ),
    "a long text": _message("task.finished", f'{OUTCOME},"summary":"{"a," * 1_900_000}"'),
    "an open text": b'{"type":"' + b'\\"' * 1_900_000,
    "brackets": b"[" * 3_900_000,
}


@pytest.mark.parametrize("name", LARGE_MESSAGES)
def test_a_large_message_that_is_none_is_refused_at_once(name: str) -> None:
    began = time.process_time()
    with pytest.raises(DecodeError):
        decode(LARGE_MESSAGES[name])
    assert time.process_time() - began < MOST_SECONDS


def test_texts_count_as_one_however_long() -> None:
    data = f'{OUTCOME},"error":{{"code":"c","message":"{"[{," * 30_000}"}}'
    assert decode(_message("task.finished", data)).data.error.message == "[{," * 30_000


def test_every_type_carries_data() -> None:
    assert set(EVENT_DATA) == set(EventType) == set(DATA)


@pytest.mark.parametrize("kind", EventType)
def test_round_trip_and_schema(kind: EventType) -> None:
    raw = encode(event(kind))
    again = decode(raw)
    assert again.data == DATA[kind]
    assert type(again.data) is EVENT_DATA[kind]
    assert encode(again) == raw
    assert document_problems("event", raw) == []


@pytest.mark.parametrize("kind", EventType)
def test_what_was_checked_is_written_as_its_event_would_be(kind: EventType) -> None:
    ours = event(kind)
    attributes = ours.model_dump(exclude={"specversion", "type", "datacontenttype", "data"})
    assert json.loads(encode_checked(kind, ours.data, **attributes)) == json.loads(encode(ours))


@pytest.mark.parametrize("kind", EventType)
@pytest.mark.parametrize("seen_first", [kind.value for kind in EventType] + ["other"])
def test_only_the_type_of_the_event_itself_counts(kind: EventType, seen_first: str) -> None:
    document = json.loads(encode(event(kind)))
    raw = json.dumps(document, separators=(",", ":")).encode()
    # A duplicate key: the last one is the one that counts, in every reader here.
    twice = b'{"type":"' + seen_first.encode() + b'",' + raw[1:]
    assert encode(decode(twice)) == encode(event(kind))


@pytest.mark.parametrize("kind", EventType)
def test_the_cloudevents_sdk_reads_what_we_encode(kind: EventType) -> None:
    ours = event(kind)
    theirs = JSONFormat().read(CloudEvent, encode(ours))
    assert theirs.get_specversion() == "1.0"
    assert (theirs.get_id(), theirs.get_source(), theirs.get_type()) == (ours.id, ours.source, kind.value)
    assert (theirs.get_subject(), theirs.get_datacontenttype()) == ("b", "application/json")
    assert theirs.get_time() == datetime(2026, 1, 15, 9, 30, 0, 250_000, UTC)
    assert {name: theirs.get_extension(name) for name in EXTENSIONS} == {
        name: getattr(ours, name) for name in EXTENSIONS
    }
    assert theirs.get_data() == ours.data.model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize("kind", EventType)
@pytest.mark.parametrize("time", [datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 1, 15, 1, 2, 3, 4, UTC)])
def test_we_read_what_the_cloudevents_sdk_encodes(kind: EventType, time: datetime) -> None:
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": "evt-9",
        "source": "/elsewhere",
        "type": kind.value,
        "time": time,
        "datacontenttype": "application/json",
        "workflowid": "wf-1",
        "attempt": 3,
    }
    theirs = JSONFormat().write(CloudEvent(attributes, DATA[kind].model_dump(mode="json")))
    ours = decode(theirs)
    assert (ours.id, ours.source, ours.type, ours.workflowid, ours.attempt) == (
        "evt-9",
        "/elsewhere",
        kind,
        "wf-1",
        3,
    )
    assert datetime.fromisoformat(ours.time) - time == timedelta(0)
    assert ours.data == DATA[kind]


@pytest.mark.parametrize("kind", EventType)
def test_the_schema_checks_the_data_of_each_type(kind: EventType) -> None:
    document = json.loads(encode(event(kind)))
    document["data"]["surprise"] = 1
    assert [problem.path for problem in schema_problems("event", document)] == ["$.data.surprise"]
    assert not Draft202012Validator(load_schema("event")).is_valid(document | {"type": "multiagent.other"})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"type": []}',
        b'{"type": "multiagent.other"}',
        b'{"type": "multiagent.command.added"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"type": ' + b"9" * 6_000 + b"}",
        b" " * (MAX_MESSAGE_BYTES + 1),
    ],
)
def test_anything_else_is_a_decode_error_that_keeps_the_bytes(raw: bytes) -> None:
    with pytest.raises(DecodeError) as refused:
        decode(raw)
    assert refused.value.raw == raw
    assert refused.value.reason
