"""The proxy: answers on loopback, for whom it gave a key, what the user's indexes say and hold."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any, Final

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from contracts.base.text import visible_line
from sandbox_runner.environments.indexes.pages import is_page, relinked
from sandbox_runner.environments.indexes.sources import IndexRefused, IndexSource, Routes, shown
from sandbox_runner.environments.indexes.upstream import NetworkWay, Upstream

_LOOPBACK: Final = "127.0.0.1"
_MOST_CONNECTIONS: Final = 64
_IDLE_SECONDS: Final = 30.0
_PART: Final = 64 * 1024
_MOST_OF_A_PAGE: Final = 128_000_000
_MOST_BYTES: Final = 16_000_000_000
"""Of all that one fetch may take."""
_MOST_COMPLAINTS: Final = 20
_PASSED_ON: Final = ("Content-Type", "Content-Encoding")
_WRONG: Final = frozenset({401, 407, 429, *range(500, 600)})


class IndexProxy:
    """What a proxy does and has seen, for as long as one fetch. Used by several threads."""

    def __init__(self, sources: Sequence[IndexSource], way: NetworkWay, port: int) -> None:
        """Raises InvalidInput for settings that cannot be used."""
        self.base = f"http://{_LOOPBACK}:{port}"
        self.routes = Routes(sources, self.base, secrets.token_hex(32))
        self.upstream = Upstream(way)
        self._lock = threading.Lock()
        self._left = _MOST_BYTES
        self._complaints: dict[str, None] = {}
        self._denied: dict[str, None] = {}

    @property
    def problem(self) -> str:
        """The first thing that went wrong between it and the indexes, or that was refused; "" for nothing."""
        with self._lock:
            return next(iter(self._complaints), "")

    @property
    def denied(self) -> str:
        """The first answer of an index that it may not give this; some say so of what they do not have."""
        with self._lock:
            return next(iter(self._denied), "")

    def forget(self) -> None:
        """Forget what went wrong: it is not why a program fails that begins now."""
        with self._lock:
            self._complaints.clear()
            self._denied.clear()

    def complain(self, what: str) -> None:
        """Remember what went wrong."""
        with self._lock:
            if len(self._complaints) < _MOST_COMPLAINTS:
                self._complaints[what] = None

    def judge(self, source: IndexSource, response: BaseHTTPResponse) -> None:
        """Remember an answer that says that something is wrong with the index, or with who asks it."""
        reason = visible_line(response.reason or "")[:40]
        said = f"{shown(source.address)} answers {response.status} {reason}".rstrip()
        if response.status in _WRONG:
            self.complain(said)
        elif response.status == HTTPStatus.FORBIDDEN:
            with self._lock:
                self._denied[said] = None

    def take(self, size: int) -> None:
        """Count what was fetched. Raises IndexRefused when it is too much."""
        with self._lock:
            self._left -= size
            if self._left < 0:
                raise IndexRefused(f"more than {_MOST_BYTES // 1_000_000_000} GB are asked for")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__((_LOOPBACK, 0), _Handler)
        self.proxy: IndexProxy
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._free.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Say nothing of a program that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        proxy = self.server.proxy
        if not self.path.startswith("/"):
            return self._refuse_host()
        name = ""
        try:
            number, source, address = proxy.routes.asked(self.path)
            name = f"{shown(source.address)}: "
            self._answer(number, source, address)
        except IndexRefused as error:
            proxy.complain(f"{name}{error}")
            self._fail(HTTPStatus.FORBIDDEN, str(error))
        except HTTPError as error:
            why = visible_line(str(_cause(error)))[:200]
            proxy.complain(f"{name}does not answer: {why}")
            self._fail(HTTPStatus.BAD_GATEWAY, "the index does not answer")

    def do_CONNECT(self) -> None:
        self._refuse_host()

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _refuse_host(self) -> None:
        """Refuse what is asked for by a host's own name, which programs do that take this for their proxy."""
        host = self.path.partition("://")[2].partition("/")[0] or self.path
        said = f"host {visible_line(host.rpartition('@')[2])[:100]!r} is none of an index of your settings"
        self.server.proxy.complain(f"{said}, and something that is fetched asks for it")
        self._fail(HTTPStatus.FORBIDDEN, said)

    def _answer(self, number: int, source: IndexSource, address: str) -> None:
        proxy = self.server.proxy
        accept = self.headers.get("Accept", "*/*")
        asked = {"Accept": accept, "Accept-Encoding": self.headers.get("Accept-Encoding", "identity")}
        response, there = proxy.upstream.get(source, address, asked)
        try:
            proxy.judge(source, response)
            kind = response.headers.get("Content-Type", "")
            if response.status != HTTPStatus.OK:
                self._fail(response.status, response.reason or "")
            elif is_page(kind, address):
                relink = partial(proxy.routes.link, number)
                content = relinked(kind, there, _whole(response, proxy), relink)
                self._begin(HTTPStatus.OK, {"Content-Type": kind, "Content-Length": str(len(content))})
                self.wfile.write(content)
            else:
                self._pass_on(response)
        finally:
            # What was not read is not waited for.
            response.close()

    def _pass_on(self, response: BaseHTTPResponse) -> None:
        headers = {name: response.headers[name] for name in _PASSED_ON if name in response.headers}
        length = _length(response)
        in_chunks, left = length is None, length or 0
        size = {"Transfer-Encoding": "chunked"} if in_chunks else {"Content-Length": str(length)}
        self._begin(response.status, headers | size)
        try:
            for part in response.stream(_PART, decode_content=False):
                self.server.proxy.take(len(part))
                left -= len(part)
                if left < 0 and not in_chunks:
                    raise IndexRefused("an answer is longer than it says")
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if in_chunks else part)
            self.wfile.write(b"0\r\n\r\n" if in_chunks else b"")
        except (HTTPError, IndexRefused) as error:
            # What was begun cannot be taken back: it must not look whole.
            self.close_connection = True
            self.server.proxy.complain(visible_line(str(error))[:200])

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _fail(self, status: int, why: str) -> None:
        content = f"{why}\n".encode("ascii", "replace")
        self.close_connection = True
        self._begin(
            status, {"Content-Type": "text/plain", "Content-Length": str(len(content)), "Connection": "close"}
        )
        self.wfile.write(content)


def _length(response: BaseHTTPResponse) -> int | None:
    """How many bytes follow; None where that is seen at their end alone."""
    said = response.headers.get("Content-Length", "")
    return int(said) if re.fullmatch(r"[0-9]{1,15}", said) and not response.chunked else None


def _whole(response: BaseHTTPResponse, proxy: IndexProxy) -> bytes:
    content = bytearray()
    for part in response.stream(_PART, decode_content=True):
        proxy.take(len(part))
        content += part
        if len(content) > _MOST_OF_A_PAGE:
            raise IndexRefused(f"a page is larger than {_MOST_OF_A_PAGE // 1_000_000} MB")
    return bytes(content)


def _cause(error: Exception) -> object:
    """What was the matter, without what was asked."""
    reason = getattr(error, "reason", None)
    return _cause(reason) if isinstance(reason, Exception) else reason or error


@contextmanager
def serving_indexes(sources: Sequence[IndexSource], way: NetworkWay) -> Iterator[IndexProxy]:
    """Answer on a port of loopback, until the end. Raises InvalidInput for settings that cannot be used."""
    with _Server() as server:
        server.proxy = IndexProxy(sources, way, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()
            server.proxy.upstream.close()
