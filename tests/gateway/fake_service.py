"""A service of models on loopback, in each format: whatever is asked, it answers what it was given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import FormatName, WireCaller, WireResponse, WireText, WireUsage
from multi_agent.models.wire.convert import streamed
from multi_agent.models.wire.fields import Notes
from multi_agent.models.wire.formats import FORMATS

HELLO = WireResponse("up-1", "up-model", (WireText("Hello, world."),), usage=WireUsage(11, 7))
CALLER = WireCaller("up-1", "up-model", 1_700_000_000)


@dataclass
class FakeService:
    """What it says, and what it was asked."""

    answer: WireResponse = HELLO
    status: int = 200
    error: Any = None
    """A body instead of an answer."""
    fails: dict[str, list[int]] = field(default_factory=dict)
    """The statuses with which it answers for each model first."""
    headers: Mapping[str, str] = field(default_factory=dict)
    stalls: bool = False
    """Whether it says nothing after its first event, until whoever asked hangs up."""
    breaks: bool = False
    """Whether its stream ends after the first events, and a whole answer in its midst."""
    whole: bool = False
    """Whether it knows no streams."""
    url: str = ""
    asked: list[tuple[str, Mapping[str, str], dict[str, Any]]] = field(default_factory=list)
    """Address with its query, headers, body."""
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody hung up."""

    @property
    def body(self) -> dict[str, Any]:
        """What was asked last."""
        return self.asked[-1][2]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.content.read())
        self.asked.append((request.path_qs, dict(request.headers), body))
        self.was_asked.set()
        failing = self.fails.get(body.get("model") or request.path.rpartition("/")[2].partition(":")[0])
        status = failing.pop(0) if failing else self.status
        if self.error is not None or status != 200:
            return web.json_response(self.error, status=status, headers=self.headers)
        name = _format_of(request.path)
        if "count" in request.path or "input_tokens" in request.path:
            return web.json_response({"input_tokens": 5, "totalTokens": 5})
        try:
            if not self.whole and (body.get("stream") or ":stream" in request.path):
                return await self._stream(request, name)
            if self.stalls:
                await asyncio.Event().wait()
        except (asyncio.CancelledError, ConnectionResetError):
            self.left.set()
            raise
        answer = web.json_response(FORMATS[name].write_response(self.answer, Notes(), CALLER))
        if self.breaks and request.transport:
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            raise asyncio.CancelledError
        return answer

    async def _stream(self, request: web.BaseRequest, name: FormatName) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        for index, event in enumerate(streamed(self.answer, name, CALLER)):
            data = sse.encoded(name, event)
            await reply.write(data[:9])
            await reply.write(data[9:])
            if index == 1 and self.stalls:
                await asyncio.Event().wait()
            if index == 1 and self.breaks:
                return reply
        await reply.write(sse.ended(name))
        return reply


def _format_of(path: str) -> FormatName:
    if "/models/" in path:
        return "gemini"
    names: dict[str, FormatName] = {"completions": "chat", "responses": "responses"}
    return names.get(path.rpartition("/")[2], "anthropic")


@asynccontextmanager
async def serving(service: FakeService) -> AsyncIterator[FakeService]:
    server = web.Server(service.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield service
    finally:
        await runner.cleanup()
