"""Traces reach a receiver by OTLP: each at least once, with the same ids, and without what is secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.base.errors import Unavailable
from contracts.messages.journal import WorkflowCompleted
from contracts.messages.payloads import TaskError
from multi_agent.bootstrap import create_artifacts
from multi_agent.cli import cli
from multi_agent.runtime.observing.trace_export import TraceExport, exported
from multi_agent.settings import Settings, load_settings
from multi_agent.telemetry.tracing.otlp import OtlpExporter
from multi_agent.telemetry.tracing.spans import Span, span_id_of, trace_id_of
from orchestrator.client.views import JournalEntry
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.release.history import Desk, item
from tests.telemetry.receiver import receiving

CANARY = "sk-ant-api03-CanaryAb1cD2eF3gH4iJ5kL6mN7"


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[tuple[Settings, Desk]]:
    settings = load_settings({"data_dir": tmp_path / "data"})
    settings.data.mkdir()
    create_artifacts(settings)
    upgrade(settings.database)
    database = open_database(settings.database)
    desk = Desk(database)
    await desk.start("one")
    try:
        yield settings, desk
    finally:
        await database.close()


async def fail(desk: Desk, name: str) -> None:
    await desk.submit(name, item("code", max_retries=0))
    error = TaskError(code="model_rejected", message=f"the key {CANARY} is refused", retryable=False)
    await desk.finish(name, "code", status="failed", error=error.model_dump(), commit=None)


async def test_each_trace_that_ends_is_sent_until_it_was_taken(tmp_path: Path) -> None:
    async with served(tmp_path) as (settings, desk):
        with receiving(refusals=1) as receiver:
            exporter = OtlpExporter(receiver.url)
            export = TraceExport(settings, desk.client, exporter.send)
            await export.begin()
            await fail(desk, "w-1")
            with pytest.raises(Unavailable):
                await export.look()
            again = TraceExport(settings, desk.client, exporter.send)
            assert [await again.look() for _ in range(2)] == [1, 0]
            assert await TraceExport(settings, desk.client, exporter.send).look() == 0
            exporter.close()
    assert receiver.faults == []
    assert {span.trace_id.hex() for span in receiver.spans} == {trace_id_of("w-1")}
    names = {span.span_id.hex(): span for span in receiver.spans}
    root = names[span_id_of("w-1")]
    assert [span for span in receiver.spans if span.parent_span_id.hex() not in {"", *names}] == []
    assert (root.parent_span_id, root.name) == (b"", "workflow")
    assert {"multi-agent"} == {one["service.name"] for one in receiver.resources}
    told = "".join(map(str, receiver.spans))
    assert "the key [secret] is refused" in told
    assert CANARY not in told


async def test_a_trace_is_sent_again_by_hand_with_the_same_ids(tmp_path: Path) -> None:
    async with served(tmp_path) as (settings, desk):
        await fail(desk, "w-1")
    words = ["trace", "w-1", "--export", "--json", "--data-dir", str(settings.data)]
    with receiving() as receiver:
        done = [
            await asyncio.to_thread(
                CliRunner().invoke, cli, words, env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
            )
            for _ in range(2)
        ]
    printed = [json.loads(one.stdout) for one in done]
    assert printed[0] == printed[1]
    sent = [span.span_id.hex() for span in receiver.spans]
    assert sorted(sent) == sorted([one["span_id"] for one in printed[0]["spans"]] * 2)
    unset = await asyncio.to_thread(CliRunner().invoke, cli, words)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is not set" in str(unset.exception)


async def test_what_ended_before_nothing_is_sent_of_and_the_end_sends_the_rest(tmp_path: Path) -> None:
    said: list[str] = []
    async with served(tmp_path) as (settings, desk):
        await fail(desk, "before")
        with receiving() as receiver:
            options = {"data_dir": settings.data, "otlp_endpoint": receiver.url}
            async with exported(load_settings(options), said.append):
                await fail(desk, "w-1")
    assert {span.trace_id.hex() for span in receiver.spans} == {trace_id_of("w-1")}
    assert (receiver.faults, said) == ([], [])


async def test_a_receiver_that_is_away_is_named_and_stops_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    async with served(tmp_path) as (settings, desk):
        with receiving(refusals=100) as receiver:
            options = {"data_dir": settings.data, "otlp_endpoint": receiver.url}
            async with exported(load_settings(options), said.append):
                await fail(desk, "w-1")
    assert said == ["traces: the last ones were not sent: the receiver of traces did not take them"]
    assert (settings.data / "traces.sent").exists()


class Late:
    """A journal in which an entry appears below one that was read."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []

    def end(self, sequence: int, name: str) -> None:
        event = WorkflowCompleted(None)
        self.entries.append(JournalEntry(sequence, name, None, 1.0, event, "workflow.completed", {}))
        self.entries.sort(key=lambda one: one.sequence)

    async def events(
        self, workflow_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[JournalEntry]:
        found = [one for one in self.entries if one.sequence > after]
        return [one for one in found if workflow_id in {None, one.workflow_id}][:limit]

    async def last_sequence(self) -> int:
        return 0

    async def workflow(self, workflow_id: str) -> None:
        return None


async def test_an_end_that_is_seen_late_is_sent_once_and_not_forgotten(tmp_path: Path) -> None:
    journal, sent = Late(), list[str]()
    settings = load_settings({"data_dir": tmp_path, "database_url": "postgresql://h/d"})

    def send(spans: Sequence[Span]) -> None:
        sent.append(spans[0].trace_id)

    export = TraceExport(settings, journal, send)
    await export.begin()
    journal.end(7, "first")
    assert await export.look() == 1
    journal.end(5, "late")
    assert await export.look() == 0
    # Another process, or this one ten seconds later, looks again at what is not old enough.
    assert await TraceExport(settings, journal, send).look() == 2
    assert set(sent) == {trace_id_of("first"), trace_id_of("late")}


def test_headers_are_secret() -> None:
    settings = load_settings({"otlp_headers": "authorization=Basic canary-canary,x-tenant=t"})
    assert settings.redactor("Basic canary-canary") == "[secret]"
