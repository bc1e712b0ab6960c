"""Serves metrics over HTTP at /metrics, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from contracts.base.errors import NotConfigured

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PATH: Final = "/metrics"


def serve_metrics(host: str, port: int, registry: CollectorRegistry | None = None) -> None:
    """Serve the registry, by default the one of this process, in threads that end with the process.

    Raises NotConfigured for a place that cannot be listened at.
    """
    # A worker, whose command imports this module, must choose how to count before this is imported.
    from prometheus_client import REGISTRY, make_wsgi_app  # noqa: PLC0415

    metrics: WSGIApplication = make_wsgi_app(registry or REGISTRY)

    def answer(request: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if request.get("PATH_INFO") == PATH:
            return metrics(request, start)
        start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"metrics are at {PATH}\n".encode()]

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        kind = type("_Server", (_Server,), {"address_family": family})
        server = kind((host, port), _Silent)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NotConfigured(
            f"metrics cannot be served at {host}:{port}: {reason}; "
            "choose another --metrics-port or --metrics-host"
        ) from None
    server.set_app(answer)
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape is no event."""
