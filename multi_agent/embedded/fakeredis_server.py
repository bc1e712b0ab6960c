"""Serves fakeredis on a unix socket, for machines without Redis. Slow: only for trying things out.

    python fakeredis_server.py SOCKET

It imports nothing from the project, so that it starts from any folder.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
import sys
from typing import Any

from fakeredis import TcpFakeServer

_SEND_SECONDS = 60.0


class _WaitingSocket(socket.socket):
    """Waits for a slow peer. fakeredis makes the socket non-blocking and would drop a long reply."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.send(rest, flags) :]
            except BlockingIOError:
                if not select.select([], [self], [], _SEND_SECONDS)[1]:
                    raise


class _ErrorsAsReplies:
    """Makes errors of a fakeredis client replies; its server would close the connection on each."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def read_response(self) -> Any:
        """Return the next reply or error."""
        try:
            return self._client.read_response()
        except ConnectionError:
            raise
        except Exception as error:
            return error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class _HandlerMixin:
    """A mixin for fakeredis' handler of one connection."""

    current_client: Any

    def setup(self) -> None:
        """Wrap the client of the connection."""
        super().setup()  # type: ignore[misc]  # defined by the handler that this is mixed into
        self.current_client = _ErrorsAsReplies(self.current_client)


class UnixFakeServer(TcpFakeServer):
    """fakeredis' server on a unix socket. Its clients have no address; each gets a number instead."""

    address_family = socket.AF_UNIX
    request_queue_size = 128

    def __init__(self, path: str) -> None:
        self._numbers = itertools.count(1)
        super().__init__(path)  # type: ignore[arg-type]  # the address of a unix socket is its path
        handler: Any = self.RequestHandlerClass
        self.RequestHandlerClass = type("Handler", (_HandlerMixin, handler), {})

    def get_request(self) -> tuple[Any, Any]:
        """Accept the next client and give it a number."""
        connection, _ = super().get_request()
        return _WaitingSocket(fileno=connection.detach()), ("unix", next(self._numbers))


def main(path: str) -> None:
    """Serve until killed."""
    os.umask(0o077)
    UnixFakeServer(path).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
