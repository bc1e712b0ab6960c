"""The servers of this benchmark, a process each: `python -m benchmarks.gateway.servers KIND PORT`.

`upstream` is a service of chat completions that answers after 50 ms, whatever it is asked; `bare` passes
bytes from its callers to the upstream and back, and does nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Final

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

UPSTREAM_PORT: Final = 19_700
OPEN_SECONDS: Final = 3_600
"""How long a stream goes on that is to stay open."""
STAYS_OPEN: Final = "stay open"
"""What the last message of such a request says."""
_SECONDS: Final = 0.05


def _event(choices: list[dict[str, Any]], **fields: Any) -> bytes:
    about = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**about, "choices": choices, **fields}).encode() + b"\n\n"


_WORD: Final = _event([{"index": 0, "delta": {"role": "assistant", "content": "word "}}])
_END: Final = (
    _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    + _event([], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
    + b"data: [DONE]\n\n"
)


async def _answer(request: web.BaseRequest) -> web.StreamResponse:
    body = json.loads(await request.content.read())
    await asyncio.sleep(_SECONDS)
    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await reply.prepare(request)
    if STAYS_OPEN in json.dumps(body["messages"][-1])[:200]:
        for _ in range(OPEN_SECONDS * 10):
            await reply.write(_WORD)
            await asyncio.sleep(0.1)
    for _ in range(5):
        await reply.write(_WORD)
    await reply.write(_END)
    return reply


class _Bare:
    """A pass-through."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._session is None:
            connector = TCPConnector(limit=1_000)
            self._session = ClientSession(connector=connector, timeout=ClientTimeout(total=None))
        body, url = await request.content.read(), f"http://127.0.0.1:{UPSTREAM_PORT}{request.path}"
        async with self._session.post(url, data=body, headers={"Content-Type": "application/json"}) as said:
            reply = web.StreamResponse(status=said.status, headers={"Content-Type": said.content_type})
            await reply.prepare(request)
            async for part in said.content.iter_any():
                await reply.write(part)
        return reply


async def _serve(kind: str, port: int) -> None:
    handler = _answer if kind == "upstream" else _Bare().answer
    runner = web.ServerRunner(web.Server(handler, access_log=None, handler_cancellation=True))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
