"""A local server that speaks chat completions, responses, generateContent and messages, with faults.

    with ModelServer([Status(429, headers={"Retry-After": "1"}), Say("hello")]) as server:
        ... server.openai_url, server.gemini_url, server.requests ...

A script is a list of steps, taken in the order in which requests arrive, or a function from request to step.
A request beyond the script's end is answered with status 418, which no adapter tries again.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.model_wire import Api, Blocked, Received, Say, answer_of, fault_in

__all__ = ["Blocked", "ModelServer", "Received", "Say", "Status"]


_APIS: Mapping[str, Api] = {
    "/v1/chat/completions": "openai",
    "/v1/responses": "responses",
    "/v1/messages": "anthropic",
}


@dataclass(frozen=True)
class Status:
    """An HTTP error. `details` is Google's list of error details; `param` and `name` are OpenAI's field in
    error and its name for the error."""

    code: int
    message: str = "scripted"
    headers: Mapping[str, str] = field(default_factory=dict)
    details: tuple[Mapping[str, Any], ...] = ()
    param: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Raw:
    """A body as it is. `announced` is its Content-Length if that shall lie; `drip` sends a byte at a time."""

    body: bytes
    content_type: str = "application/json"
    announced: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: bool = False


@dataclass(frozen=True)
class Huge:
    """A well-formed answer of `megabytes`, with or without a Content-Length."""

    megabytes: int = 50
    announced: bool = True


@dataclass(frozen=True)
class Stall:
    """Accepts the request and says nothing until the client hangs up."""


@dataclass(frozen=True)
class HangUp:
    """Closes the connection without a word."""


Step = Say | Blocked | Status | Raw | Huge | Stall | HangUp
Script = Sequence[Step] | Callable[[Received], Step]


class ModelServer:
    """Serves a script on a free port of the loopback while the `with` block runs."""

    def __init__(self, script: Script, *, about_models: int = 404, certificate: Path | None = None) -> None:
        """`about_models` is the status with which questions about models are answered, and no request of
        `requests`; with a certificate, a file that holds its key too, the server speaks TLS alone."""
        self._script = script
        self.about_models = about_models
        self.questions: list[str] = []
        self._scheme = "https" if certificate else "http"
        self._lock = threading.Lock()
        self.requests: list[Received] = []
        self.hung_up = threading.Event()
        """Set when a client no longer waits for an answer that does not come."""
        self.stopping = threading.Event()
        self._server = _Server(self)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def gemini_url(self) -> str:
        return self.url

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def step_for(self, received: Received) -> Step:
        """Notes the request and takes the next step of the script."""
        with self._lock:
            self.requests.append(received)
            if callable(self._script):
                return self._script(received)
            if len(self.requests) > len(self._script):
                return Status(418, "the script of the test server has no more steps")
            return self._script[len(self.requests) - 1]


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, owner: ModelServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """One request a connection (HTTP/1.0), so that no idle connection outlives a test."""

    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.questions.append(self.path)
        if owner.about_models == 200:
            self._send_json(200, {"object": "list", "data": [], "name": "models/the-model"})
        else:
            self._send_json(owner.about_models, {"error": {"message": "scripted", "code": "scripted"}})

    def do_POST(self) -> None:
        api = _APIS.get(self.path, "gemini")
        raw = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(api, self.path, headers, raw)
        if api == "gemini" and not self.path.partition("?")[0].endswith(":generateContent"):
            self._send_json(404, {"error": {"code": 404, "message": "no such path", "status": "NOT_FOUND"}})
            return
        with suppress(ConnectionError):
            fault = fault_in(received)
            self._play(received, Status(400, fault) if fault else self.server.owner.step_for(received))

    def _play(self, received: Received, step: Step) -> None:
        match step:
            case Say() | Blocked():
                self._send_json(200, answer_of(received, step))
            case Status():
                self._send_json(step.code, _error(received.api, step), step.headers)
            case Raw():
                self._send_raw(step)
            case Huge():
                self._send_huge(received, step)
            case Stall():
                self._until_the_client_hangs_up()
            case HangUp():
                self.connection.shutdown(socket.SHUT_RDWR)

    def _head(self, code: int, content_type: str, length: int | None, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_json(self, code: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self._head(code, "application/json", len(content), headers or {})
        self.wfile.write(content)

    def _send_raw(self, step: Raw) -> None:
        length = len(step.body) if step.announced is None else step.announced
        self._head(200, step.content_type, length, step.headers)
        if not step.drip:
            self.wfile.write(step.body)
            return
        for byte in step.body:
            if self.server.owner.stopping.wait(0.05):
                return
            self.wfile.write(bytes([byte]))

    def _send_huge(self, received: Received, step: Huge) -> None:
        whole = json.dumps(answer_of(received, Say("@"))).encode()
        before, after = whole.split(b"@")
        length = len(before) + len(after) + step.megabytes * 1_000_000
        self._head(200, "application/json", length if step.announced else None, {})
        self.wfile.write(before)
        for chunk in _repeat(b"x" * 1_000_000, step.megabytes):
            self.wfile.write(chunk)
        self.wfile.write(after)

    def _until_the_client_hangs_up(self) -> None:
        owner = self.server.owner
        self.connection.settimeout(0.05)
        while not owner.stopping.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    owner.hung_up.set()
                    return


def _repeat(chunk: bytes, times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield chunk


def _error(api: Api, step: Status) -> dict[str, Any]:
    if api == "anthropic":
        return {"type": "error", "error": {"type": step.name or "api_error", "message": step.message}}
    error: dict[str, Any] = {"message": step.message, "code": step.code}
    if api in ("openai", "responses"):
        error |= {"type": "scripted", "param": step.param, "code": step.name or str(step.code)}
    else:
        error |= {"status": "SCRIPTED", "details": list(step.details)}
    return {"error": error}
