"""Runs a recorded fix again: its answers come from the recording, in their order, without a model."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.fixes.cases import give, kept
from benchmarks.fixes.judging import git
from contracts.ports.content import TextBlock, ToolCall
from contracts.ports.model import ModelResponse
from multi_agent.models.recordings.recorder import FILE_NAME
from multi_agent.models.recordings.recording import load_recording


def recorded(case: Path) -> Path:
    """The folder of a case's recording."""
    return case / "recorded"


class RecordedService:
    """A service of chat completions on the loopback that answers as it is recorded, whatever it is asked.

    What programs print differs from run to run, so that no answer would be found by its request. A fix is
    made by one agent after the other, each in one conversation: the order of the answers is enough.
    """

    def __init__(self, recording: Path) -> None:
        """Raises NotConfigured for what is no recording."""
        self._left = iter([exchange.response() for exchange in load_recording(recording).exchanges])
        self._lock = threading.Lock()
        self.given = 0
        self.missing = 0
        """Answers that were asked for beyond the last."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def left(self) -> int:
        """How many answers nobody asked for."""
        return len(list(self._left))

    def next_answer(self) -> dict[str, Any] | None:
        """The body of the next answer; None when there is none left."""
        with self._lock:
            if (found := next(self._left, None)) is None:
                self.missing += 1
                return None
            self.given += 1
        return _completion(found)

    def __enter__(self) -> RecordedService:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def replay(case: Path) -> Iterator[str]:
    """Run a case with its recorded answers; yield how its end differs from that of the recorded run.

    Raises NotConfigured for a case without a recording, FileNotFoundError without a summary.
    """
    with RecordedService(recorded(case) / FILE_NAME) as service:
        variables = {
            "MULTI_AGENT_MODEL": "openai:recorded",
            "MULTI_AGENT_OPENAI_BASE_URL": service.url,
            "OPENAI_API_KEY": "none",
        }
        place = case / "again"
        place.mkdir(exist_ok=True)
        first, again = kept(case, "summary"), give(case, "--issue", "request.md", at=place, **variables)
        if first.get("status") != again.get("status"):
            yield f"{again.get('status')} instead of {first.get('status')}: {again.get('reason')}"
        if tree_of(first) != tree_of(again):
            yield "its files differ"
        if service.missing:
            yield "more answers were asked for than are recorded"
        elif left := service.left:
            yield f"{left} of {left + service.given} answers were not asked for"


def tree_of(summary: dict[str, Any]) -> str:
    """The tree of what a run left, accepted or not; "" for nothing."""
    commit = summary.get("commit") or (summary.get("unverified") or {}).get("commit")
    return git("-C", summary["store"], "rev-parse", f"{commit}^{{tree}}") if commit else ""


def _completion(response: ModelResponse) -> dict[str, Any]:
    calls = [
        {
            "id": block.call_id,
            "type": "function",
            "function": {"name": block.name, "arguments": block.arguments},
        }
        for block in response.contents
        if isinstance(block, ToolCall)
    ]
    text = "\n".join(block.text for block in response.contents if isinstance(block, TextBlock))
    end = "length" if response.end == "length" else "tool_calls" if calls else "stop"
    message = {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}
    usage = {"prompt_tokens": response.input_tokens, "completion_tokens": response.output_tokens}
    choice = {"index": 0, "finish_reason": end, "message": message}
    return {"id": "recorded", "model": response.model, "choices": [choice], "usage": usage}


def _handler(service: RecordedService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, {"object": "list", "data": [{"id": "recorded", "object": "model"}]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if found := service.next_answer():
                self._send(200, found)
            else:
                self._send(418, {"error": {"message": "no recorded answer is left"}})

        def _send(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
