"""Sends the trace of each workflow that ends, beside the processes that work, which hear nothing of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from contracts.base.errors import ArtifactError, MultiAgentError, NotConfigured
from contracts.messages.journal import WorkflowCancelled, WorkflowCompleted, WorkflowFailed
from multi_agent.runtime.observing.traces import JournalReader, open_kept, read_trace
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from multi_agent.telemetry.tracing.otlp import OtlpExporter
from multi_agent.telemetry.tracing.spans import Span
from multi_agent.telemetry.tracing.trace import Trace

LOOK_SECONDS: Final = 1.0
LAST_SECONDS: Final = 5.0
"""How long the end of the program waits for what is new then."""
SETTLE_SECONDS: Final = 10.0
"""How late an entry may become visible."""
_PAGE: Final = 1_000
_ENDS: Final = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
Send = Callable[[Sequence[Span]], None]


class TraceExport:
    """Follows the journal of all workflows, and remembers in a file how far what ended was sent.

    Each trace is sent at least once; one that is sent again, as after a crash or a retry of the workflow, has
    the same ids. Of several orchestrators one may write an entry below those that were read already: what is
    not old enough is read again.
    """

    def __init__(self, settings: Settings, client: JournalReader, send: Send) -> None:
        self._settings, self._client, self._send = settings, client, send
        self._file = settings.data / "traces.sent"
        self._settle_seconds = 0.0 if settings.database.startswith("sqlite") else SETTLE_SECONDS
        self._position = self._safe = self._settled
        """How far it has read, and had read when it settled last."""
        self._settle_at = 0.0
        self._sent: set[int] = set()
        """Sequences of ends above what is settled."""

    async def begin(self) -> None:
        """What ended before the first beginning in this folder is not sent."""
        if not self._file.exists():
            self._write(await self._client.last_sequence())
        self._position = self._safe = self._settled

    async def look(self) -> int:
        """Send what has ended since; how many traces. Raises Unavailable, StoreUnavailable."""
        sent = await self._send_after(self._position)
        if time.monotonic() >= self._settle_at:
            sent += await self._send_after(self._settled)
            self._write(self._safe if self._settle_seconds else self._position)
            self._safe, self._settle_at = self._position, time.monotonic() + self._settle_seconds
            self._sent = {one for one in self._sent if one > self._settled}
        return sent

    async def _send_after(self, position: int) -> int:
        sent = 0
        while entries := await self._client.events(None, position, _PAGE):
            ends = {one.workflow_id: one.sequence for one in entries if isinstance(one.event, _ENDS)}
            for workflow_id, sequence in ends.items():
                if sequence not in self._sent:
                    await asyncio.to_thread(self._send, (await self._trace(workflow_id)).spans)
                    self._sent.add(sequence)
                    sent += 1
            position = entries[-1].sequence
            self._position = max(self._position, position)
        return sent

    async def _trace(self, workflow_id: str) -> Trace:
        async with open_kept(self._settings) as artifacts:
            try:
                return await read_trace(self._client, artifacts, workflow_id)
            except ArtifactError:
                # What is damaged stays so, and must not hold up others.
                return await read_trace(self._client, None, workflow_id)

    @property
    def _settled(self) -> int:
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
