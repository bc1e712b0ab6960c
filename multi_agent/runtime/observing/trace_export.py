"""Sends the trace of each workflow that ends, beside the processes that work, which hear nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from contracts.base.errors import MultiAgentError, NotConfigured
from contracts.messages.journal import WorkflowCancelled, WorkflowCompleted, WorkflowFailed
from multi_agent.runtime.observing.traces import read_trace
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings
from multi_agent.telemetry.tracing.otlp import OtlpExporter
from multi_agent.telemetry.tracing.spans import Span
from orchestrator.client.workflow_client import WorkflowClient

LOOK_SECONDS: Final = 1.0
LAST_SECONDS: Final = 5.0
"""How long the end of the program waits for what is new then."""
_PAGE: Final = 1_000
_ENDS: Final = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
Send = Callable[[Sequence[Span]], None]


class TraceExport:
    """Follows the journal of all workflows, and remembers in a file how far what ended was sent.

    Each trace is sent at least once; one that is sent again, as after a crash or a retry of the workflow, has
    the same ids.
    """

    def __init__(self, settings: Settings, client: WorkflowClient, send: Send) -> None:
        self._settings, self._client, self._send = settings, client, send
        self._file = settings.data / "traces.sent"

    async def begin(self) -> None:
        """What ended before the first beginning in this folder is not sent."""
        if not self._file.exists():
            self._write(await self._client.last_sequence())

    async def look(self) -> int:
        """Send what has ended since; how many traces. Raises Unavailable, StoreUnavailable, ArtifactError."""
        sent = 0
        while True:
            entries = await self._client.events(None, self._read(), _PAGE)
            ended = dict.fromkeys(one.workflow_id for one in entries if isinstance(one.event, _ENDS))
            for workflow_id in ended:
                async with open_artifacts(self._settings) as artifacts:
                    found = await read_trace(self._client, artifacts, workflow_id)
                await asyncio.to_thread(self._send, found.spans)
                sent += 1
            if entries:
                self._write(entries[-1].sequence)
            if len(entries) < _PAGE:
                return sent

    def _read(self) -> int:
        try:
            return int(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return 0

    def _write(self, sequence: int) -> None:
        part = Path(f"{self._file}.part")
        part.write_text(str(sequence), "utf-8")
        part.replace(self._file)


@asynccontextmanager
async def exported(settings: Settings, say: Callable[[str], None]) -> AsyncIterator[None]:
    """While the `with` body runs, send traces where an endpoint is set; at the end what is new then.

    Nothing of the work depends on it: where traces cannot be sent, that is said.
    """
    try:
        exporter = None if settings.otlp_endpoint is None else OtlpExporter(settings.otlp_endpoint)
    except NotConfigured as error:
        say(f"traces are not sent: {error}")
        exporter = None
    if exporter is None:
        yield
        return
    try:
        async with open_client(settings) as client:
            export = TraceExport(settings, client, exporter.send)
            await export.begin()
            following = asyncio.create_task(_follow(export, say))
            try:
                yield
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                try:
                    async with asyncio.timeout(LAST_SECONDS):
                        await export.look()
                except (MultiAgentError, OSError, TimeoutError) as error:
                    say(f"traces: the last ones were not sent: {error or 'it took too long'}")
    finally:
        exporter.close()


async def _follow(export: TraceExport, say: Callable[[str], None]) -> None:
    told = ""
    while True:
        try:
            await export.look()
            told = ""
        except (MultiAgentError, OSError) as error:
            if str(error) != told:
                told = str(error)
                say(f"traces are sent later: {told}")
        await asyncio.sleep(LOOK_SECONDS)


async def export_once(settings: Settings, spans: Sequence[Span]) -> None:
    """Send spans now. Raises NotConfigured, Unavailable."""
    if settings.otlp_endpoint is None:
        raise NotConfigured("OTEL_EXPORTER_OTLP_ENDPOINT is not set; set it to the URL that takes traces")
    exporter = OtlpExporter(settings.otlp_endpoint)
    try:
        await asyncio.to_thread(exporter.send, spans)
    finally:
        exporter.close()
