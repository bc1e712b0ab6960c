"""The request log: what it has of whom, what it never has, how large it gets, and what is read from it."""

from __future__ import annotations

import json
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.base.secrets.redaction import Redactor
from contracts.ports.model import ModelResponse
from multi_agent.gateway.preparing import PreparedRequest
from multi_agent.gateway.questions import session_in, session_of
from multi_agent.gateway.records.as_recording import port_request, recording_of
from multi_agent.gateway.records.figures import by_model, error_classes, percentile, slowest
from multi_agent.gateway.records.log import LogRules, RequestLog
from multi_agent.gateway.records.record import RequestRecord, record_of
from multi_agent.gateway.records.store import LoggedRequest, RecordFilter, RequestStore, read_records
from multi_agent.gateway.request_line import MOST_BODY, RequestLine
from multi_agent.models.recordings.recorder import save_recording
from multi_agent.models.recordings.replay import Replay
from multi_agent.models.wire.canonical import WireResponse, WireText, WireUsage
from tests.gateway.fake_service import FakeService
from tests.gateway.rigs import CALLERS, CANARY, ask, gateway_over
from tests.gateway.test_gateway import CHAT, GENERATE, MESSAGES, events_of, post

RECORD = record_of(RequestLine("r-1", "chat", "answer", key="ann", status=200), str)


@asynccontextmanager
async def logging_gateway(
    service: FakeService, folder: Path, **settings: Any
) -> AsyncIterator[tuple[str, Path]]:
    """The URL of a gateway that writes a log, and the log's file."""
    async with gateway_over(service, keeps=True, data_dir=folder, **settings) as rig:
        yield rig.url, folder / "gateway" / "requests.db"


def all_of(path: Path, *, bodies: bool = False, **wanted: Any) -> list[LoggedRequest]:
    return read_records(path, RecordFilter(**wanted), bodies=bodies)


async def test_each_request_has_a_record(tmp_path: Path) -> None:
    async with logging_gateway(FakeService(), tmp_path) as (url, path):
        for caller in CALLERS:
            await ask(caller, url, stream=True)
        _, headers, _ = await post(f"{url}/v1/messages", {**MESSAGES, "top_k": 5}, **{"x-session-id": "s-1"})
        await post(f"{url}/v1/messages", {**MESSAGES, "messages": []})
    found = [one.record for one in all_of(path)]
    assert [record.format for record in found] == [*CALLERS, "anthropic", "anthropic"]
    good = found[4]
    facts = (good.key, good.session, good.asked, good.model, good.status, good.tries, good.outcome)
    assert facts == ("everybody", "s-1", "claude-opus-9", "openai:up-model", 200, 1, "ok")
    assert (good.input, good.output, good.stream, "$.top_k" in good.lost[0]) == (11, 7, False, True)
    assert good.request_id in headers
    assert all(one.stream and one.first_ms is not None and one.first_ms <= one.ms for one in found[:4])
    assert (found[5].failure, found[5].status, found[5].tries) == ("invalid", 400, 0)
    assert "$.messages" in found[5].reason


def test_what_utf_8_and_the_file_cannot_hold_is_no_end_of_it(tmp_path: Path) -> None:
    path, dropped = tmp_path / "requests.db", list[int]()
    log = RequestLog(path, LogRules(1, 10), str, dropped.append)
    log.add(RequestLine("odd", "chat", "answer", session="s\udcff", usage=WireUsage(10**30, 7)))
    log.add(RequestLine("later", "chat", "answer"))
    log.close()
    odd, later = [one.record for one in all_of(path)]
    assert (odd.session, odd.input, odd.output, later.request_id) == ("s\ufffd", 2**63 - 1, 7, "later")
    assert (dropped, all_of(path, session="\udcff", key="\udcff", model="\udcff")) == ([], [])
    assert session_in({"x-session-id": "s\udcff"}) == "s\ufffd"


async def test_it_is_for_its_owner_alone_and_has_no_text_and_no_key(tmp_path: Path) -> None:
    asked = {**CHAT, "messages": [{"role": "user", "content": "a very private question"}]}
    async with logging_gateway(FakeService(), tmp_path) as (url, path):
        await post(f"{url}/v1/chat/completions", asked, authorization="Bearer callers-own-key")
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == {"requests.db": 0o600, "requests.db-wal": 0o600, "requests.db-shm": 0o600}
    written = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert b"openai:up-model" in written
    for secret in (CANARY, "callers-own-key", "private question", "Hello, world."):
        assert secret.encode() not in written


async def test_bodies_are_kept_where_they_are_wanted_without_keys(tmp_path: Path) -> None:
    virtual = f"gateway-{'x' * 43}"
    asked = {**CHAT, "messages": [{"role": "user", "content": f"{CANARY} {virtual} é"}]}
    service = FakeService(answer=WireResponse("up-1", "up-model", (WireText(f"told {CANARY}"),)))
    async with logging_gateway(service, tmp_path, gateway_log_bodies=True) as (url, path):
        await post(f"{url}/v1/chat/completions", asked)
        await events_of(f"{url}/v1/chat/completions", {**asked, "stream": True})
        await post(f"{url}/v1/chat/completions", {**CHAT, "user": "x" * MOST_BODY})
    whole, streamed, large = all_of(path, bodies=True)
    assert whole.said
    assert whole.answered
    assert streamed.answered
    assert json.loads(whole.said)["messages"][0]["content"] == "[secret] [secret] é"
    assert json.loads(whole.answered)["choices"][0]["message"]["content"] == "told [secret]"
    assert streamed.answered.endswith(b"data: [DONE]\n\n")
    assert (large.said, large.answered is not None) == (None, True)
    assert all_of(path)[0].said is None


@pytest.mark.parametrize("stream", [False, True])
async def test_a_session_is_replayed(tmp_path: Path, stream: bool) -> None:
    service = FakeService()
    bodies: list[Any] = [
        {**CHAT, "prompt_cache_key": "s-1", "stream": stream},
        {**CHAT, "prompt_cache_key": "s-1", "stream": stream, "temperature": 0.5},
        {**CHAT, "prompt_cache_key": "s-2"},
    ]
    async with logging_gateway(service, tmp_path, gateway_log_bodies=True) as (url, path):
        for body in bodies:
            await events_of(f"{url}/v1/chat/completions", body) if stream else await post(
                f"{url}/v1/chat/completions", body
            )
    found = all_of(path, session="s-1", bodies=True)
    recording = recording_of("s-1", found)
    save_recording(tmp_path / "recording.json", recording)
    replay = Replay([tmp_path])
    answers = [await replay.complete(port_request("chat", body)) for body in bodies[:2]]
    expected = ModelResponse("Hello, world.", "openai:up-model", 11, 7)
    assert (len(recording.exchanges), answers) == (2, [expected, expected])
    # What is asked counts, not the format in which it is.
    assert replay.knows(port_request("gemini", GENERATE))
    assert not replay.knows(port_request("gemini", {"contents": [{"parts": [{"text": "Ho"}]}]}))


@pytest.mark.parametrize(
    ("name", "body", "session"),
    [
        ("anthropic", {"metadata": {"user_id": "user_1_account_2_session_abc-3"}}, "abc-3"),
        ("anthropic", {"metadata": {"user_id": '{"device_id": "d", "session_id": "abc-4"}'}}, "abc-4"),
        ("anthropic", {"metadata": {"user_id": "somebody"}}, "somebody"),
        ("anthropic", {"metadata": {"user_id": 5}}, ""),
        ("chat", {"user": "u", "prompt_cache_key": "k"}, "k"),
        ("responses", {"user": "u" * 300}, "u" * 200),
        ("gemini", {"user": "u"}, ""),
        ("chat", [], ""),
    ],
)
def test_callers_say_sessions_each_in_their_way(name: Any, body: Any, session: str) -> None:
    assert session_of(name, body) == session


def test_it_keeps_what_is_new_and_has_room(tmp_path: Path) -> None:
    store = RequestStore(tmp_path / "log.db")
    now = time.time()
    body = bytes(range(256)) * 40
    for batch in range(20):
        many = [replace(RECORD, request_id=f"{batch}-{one}", at=now + batch) for one in range(50)]
        store.add(LoggedRequest(record, said=body[one:]) for one, record in enumerate(many))
    store.add([LoggedRequest(replace(RECORD, request_id="old", at=now - 100))])
    store.close()
    before = (tmp_path / "log.db").stat().st_size
    store = RequestStore(tmp_path / "log.db")
    store.trim(oldest=now - 50, most_bytes=100_000)
    store.close()
    left = all_of(tmp_path / "log.db")
    assert left[-1].record.request_id == "19-49"
    assert left[0].record.at > now
    assert 0 < (tmp_path / "log.db").stat().st_size <= 140_000 < before


def test_what_cannot_be_kept_is_counted_and_nobody_waits(tmp_path: Path) -> None:
    for most, kept in ((0, 0), (5_000, 1_000)):
        dropped: list[int] = []
        path = tmp_path / f"{most}.db"
        log = RequestLog(path, LogRules(1, 1, most_waiting=most), Redactor(), dropped.append)
        for number in range(1_000):
            log.add(RequestLine(f"{number}", "chat", "answer"))
        log.close()
        assert (len(all_of(path)), sum(dropped)) == (kept, 1_000 - kept)


def test_a_file_that_goes_bad_costs_records_and_no_request(tmp_path: Path) -> None:
    dropped: list[int] = []
    log = RequestLog(tmp_path / "log.db", LogRules(1, 1), Redactor(), dropped.append)
    with closing(sqlite3.connect(tmp_path / "log.db")) as other:
        other.execute("DROP TABLE requests")
    log.add(RequestLine("r-1", "chat", "answer"))
    log.close()
    assert dropped == [1]


def test_figures_are_those_of_the_records() -> None:
    streams = [
        replace(RECORD, model="openai:a", stream=True, first_ms=float(ms), ms=ms + 1_000.0, output=50)
        for ms in range(1, 101)
    ]
    failed = [
        replace(RECORD, model="openai:a", failure="rate_limit", status=429, at=float(at), reason=f"slow {at}")
        for at in (3, 9, 5)
    ]
    gone = [replace(RECORD, cancelled=True, status=0)]
    (figures,) = by_model([*streams, *failed, *gone])
    assert (figures.requests, figures.first_ms_p50, figures.first_ms_p99) == (100, 50.0, 99.0)
    assert (figures.ms_p50, figures.ms_p99, figures.tokens_per_second_p50) == (1_050.0, 1_099.0, 50.0)
    assert [record.ms for record in slowest(streams, 2)] == [1_100.0, 1_099.0]
    limited, left = error_classes([*streams, *gone, *failed])
    assert (limited.failure, limited.requests, limited.last_reason) == ("rate_limit", 3, "slow 9")
    assert (left.failure, left.status, left.requests) == ("cancelled", 0, 1)
    assert [percentile([5.0], 0.99), percentile([], 0.5), percentile([None, 1.0, 2.0], 0.5)] == [5, None, 1]


def test_records_are_found_by_what_they_are(tmp_path: Path) -> None:
    store = RequestStore(tmp_path / "log.db")
    ways: list[dict[str, Any]] = [
        {"key": "ann", "model": "openai:a"},
        {"key": "bob", "model": "gemini:b", "asked": "fast"},
        {"key": "ann", "model": "gemini:b", "session": "s", "at": 5.0},
    ]
    records = [replace(RECORD, request_id=str(one), **way) for one, way in enumerate(ways)]
    store.add(map(LoggedRequest, records))
    store.close()

    def found(**wanted: Any) -> str:
        return "".join(one.record.request_id for one in all_of(tmp_path / "log.db", **wanted))

    assert [found(key="ann"), found(model="gemini:*"), found(model="fast"), found(session="s")] == [
        *("20", "21", "1", "2")
    ]
    assert [found(since=6.0), found(limit=1), found(key="' OR 1")] == ["01", "1", ""]


def test_a_line_holds_so_much_of_an_answer() -> None:
    line = RequestLine("r-1", "chat", "answer", keeps_bodies=True)
    for _ in range(5):
        line.sends(bytes(MOST_BODY // 2))
    line.says(bytes(3 * MOST_BODY))
    assert MOST_BODY < len(line.answered) <= 2 * MOST_BODY
    assert len(line.said) == MOST_BODY + 1


def test_a_line_holds_no_body_when_it_has_ended() -> None:
    line = RequestLine("r-1", "chat", "answer", prepared=PreparedRequest(model="m", body=b"x", session="s"))
    line.end()
    assert line.prepared == PreparedRequest(model="m", session="s")
    assert isinstance(record_of(line, str), RequestRecord)
