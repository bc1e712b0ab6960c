"""A receiver of OTLP over HTTP that takes nothing that is not as the specification has it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Receiver:
    """What was received. `refusals`: how many requests are refused first, with HTTP 400."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[str] = []
        self.url = ""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The HTTP status for a request."""
        if self.refusals:
            self.refusals -= 1
            return 400
        self.headers.append(headers)
        if (path, headers["content-type"]) != ("/v1/traces", "application/x-protobuf"):
            self.faults.append(f"{path} {headers['Content-Type']}")
        request = ExportTraceServiceRequest()
        request.ParseFromString(gzip.decompress(body) if headers.get("content-encoding") else body)
        for group in request.resource_spans:
            self.resources.append(
                {one.key: one.value.string_value for one in group.resource.attributes},
            )
            for scope in group.scope_spans:
                self.spans += scope.spans
        for span in self.spans:
            lengths = (len(span.trace_id), len(span.span_id), len(span.parent_span_id))
            if lengths[:2] != (16, 8) or lengths[2] not in {0, 8} or not span.name:
                self.faults.append(f"ids of {span.name}: {lengths}")
            if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
                self.faults.append(f"times of {span.name}")
        return 200


@contextmanager
def receiving(refusals: int = 0) -> Iterator[Receiver]:
    """A receiver at `url`, on loopback."""
    receiver = Receiver(refusals)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(
                self.path, {name.lower(): value for name, value in self.headers.items()}, body
            )
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
