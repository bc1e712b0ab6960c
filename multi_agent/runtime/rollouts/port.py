"""The port that programs reach a rollout through: HTTP with two paths. It runs until SIGTERM or SIGINT.

GET /flag answers from memory, so that no slow database delays a rollback that is known already. POST /records
answers when the records are stored, 503 while they cannot be.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
from collections.abc import Iterator
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from threading import BoundedSemaphore, Thread
from typing import Any, Final

import structlog
from pydantic import ValidationError

from contracts.base.errors import NotConfigured, Unavailable
from contracts.base.processes.hosts import is_loopback
from contracts.messages.rollout import RECORDS
from multi_agent.application.rollouts.desk import RolloutDesk
from multi_agent.runtime.rollouts.incoming import Incoming
from multi_agent.runtime.services import open_services
from multi_agent.runtime.stopping import on_stop_signals
from multi_agent.settings import Settings
from orchestrator.client.rollouts import RolloutStore

_log = structlog.get_logger(__name__)

MOST_BYTES: Final = 1_000_000
"""Of one request."""
_TAKE_SECONDS: Final = 2.5
_IDLE_SECONDS: Final = 30.0
"""Between two requests of a connection."""
REQUEST_SECONDS: Final = 10.0
"""For a whole request, and for the first from when its connection was made."""
MOST_CONNECTIONS: Final = 256
"""A program has two."""


async def serve_rollout(settings: Settings) -> None:
    """Serve programs until stopped. Raises NotConfigured."""
    token = settings.rollout_token.get_secret_value() if settings.rollout_token else None
    if token is None and not is_loopback(settings.rollout_host):
        raise NotConfigured(
            f"the rollout is not served at {settings.rollout_host!r} without a token, since whoever reaches "
            "it could write outcomes; set MULTI_AGENT_ROLLOUT_TOKEN here and in your programs"
        )
    stopped = asyncio.Event()
    on_stop_signals(stopped.set)
    async with open_services(settings, create=True) as services:
        desk = RolloutDesk(RolloutStore(services.database))
        with listening(desk, settings.rollout_host, settings.rollout_port, token) as url:
            _log.info("rollout_listening", url=url, token=token is not None)
            running = asyncio.create_task(desk.run())
            await stopped.wait()
            running.cancel()


@contextmanager
def listening(desk: RolloutDesk, host: str, port: int, token: str | None = None) -> Iterator[str]:
    """Serve while the block runs in a running loop; the URL. Raises NotConfigured where it cannot."""
    loop = asyncio.get_running_loop()
    try:
        server = _Server((host, port), _Handler)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NotConfigured(
            f"the rollout cannot be served at {host}:{port}: {reason}; choose another --port or --host"
        ) from None
    server.desk, server.loop, server.token = desk, loop, token
    thread = Thread(target=server.serve_forever, args=(0.1,), name="rollout-port", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False
    desk: RolloutDesk
    loop: asyncio.AbstractEventLoop
    token: str | None

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        self._places = BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Close at once what finds no place: a program asks again."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Of one that had a place."""
        self._places.release()
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say it in the log: mostly a program that went away in the middle."""
        _log.info("rollout_request_broken", error=repr(sys.exception())[:200])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        """Read with a deadline."""
        super().setup()
        self.rfile.close()
        self._incoming = Incoming(self.connection, REQUEST_SECONDS, _IDLE_SECONDS)
        self.rfile = BufferedReader(self._incoming)

    def handle_one_request(self) -> None:
        """The next has its own deadline."""
        super().handle_one_request()
        self._incoming.request_ended()

    def do_GET(self) -> None:
        """The flag."""
        if self._refused("/flag"):
            return
        flag = self.server.desk.flag
        if flag is None:
            self._answer(503, {"error": "the database was not reached yet"})
        else:
            self._answer(200, asdict(flag))

    def do_POST(self) -> None:
        """Records."""
        if self._refused("/records"):
            return
        length = self.headers.get("Content-Length", "")
        known = length.isascii() and length.isdigit() and len(length) <= len(str(MOST_BYTES))
        if not known or int(length) > MOST_BYTES:
            self.close_connection = True
            self._answer(413, {"error": f"Content-Length must be given, at most {MOST_BYTES:,}"})
            return
        try:
            records = RECORDS.validate_json(self.rfile.read(int(length)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            self._answer(400, {"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"})
            return
        taking = asyncio.run_coroutine_threadsafe(self.server.desk.take(records), self.server.loop)
        try:
            taking.result(_TAKE_SECONDS)
        except (Unavailable, TookTooLong) as error:
            self._answer(503, {"error": str(error) or "the database is slow"})
        else:
            self._answer(200, {"taken": len(records)})

    def _refused(self, path: str) -> bool:
        """Whether the request was answered already: a wrong path or token."""
        token, shown = self.server.token, self.headers.get("Authorization", "")
        if token and not hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
            self.close_connection = True
            self._answer(401, {"error": "show the token of this rollout (MULTI_AGENT_ROLLOUT_TOKEN)"})
        elif self.path != path:
            self.close_connection = True
            self._answer(404, {"error": "there are GET /flag and POST /records"})
        else:
            return False
        return True

    def _answer(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: programs ask four times a second."""
