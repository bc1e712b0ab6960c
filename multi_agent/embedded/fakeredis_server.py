"""fakeredis as a server on a unix socket, for machines without any Redis. Slow: for trying out only.

    python fakeredis_server.py SOCKET

Stands alone, without imports from the project, so that it starts from any folder.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
from typing import Any

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler, Writer

_SEND_SECONDS = 60.0


class _Sender:
    """Writes to a socket whose reading side does not block, waiting while it is full."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection.dup()
        self._socket.settimeout(_SEND_SECONDS)

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self._socket.close()


class _Handler(TCPFakeRequestHandler):
    def setup(self) -> None:
        super().setup()
        # fakeredis writes to a non-blocking socket and drops the connection when a long reply fills it.
        self.writer.writer = _Sender(self.connection)

    def finish(self) -> None:
        super().finish()
        self.writer.writer.close()


class UnixFakeServer(TcpFakeServer):
    """fakeredis' server on a unix socket, whose clients have no address: each gets a number instead."""

    address_family = socket.AF_UNIX
    daemon_threads = True

    def __init__(self, path: str) -> None:
        self._numbers = itertools.count(1)
        super().__init__(path)
        self.RequestHandlerClass = _Handler

    def get_request(self) -> tuple[Any, Any]:
        connection, _ = super().get_request()
        return connection, ("unix", next(self._numbers))


def main(path: str) -> None:
    """Serve until killed."""
    os.umask(0o077)
    UnixFakeServer(path).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
