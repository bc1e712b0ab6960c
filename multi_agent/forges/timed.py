"""Connections with one limit for all that is read, the head of an answer included.

A socket's own limit begins anew with each piece that arrives.
"""

from __future__ import annotations

import io
import socket
import time
import urllib.request
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class TimedHttp(urllib.request.HTTPHandler):
    """Opens http; the timeout of a request is for its whole answer."""

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Connection, req)


class TimedHttps(urllib.request.HTTPSHandler):
    """Opens https, as above."""

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_SecureConnection, req)


class _Connection(HTTPConnection):
    def __init__(self, host: str, /, **more: Any) -> None:
        super().__init__(host, **more)
        until = time.monotonic() + more["timeout"]
        self.response_class = partial(_Response, until=until)  # type: ignore[assignment]


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *more: Any, until: float, **named: Any) -> None:
        super().__init__(sock, *more, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Received(sock, until))


class _Received(io.RawIOBase):
    def __init__(self, sock: socket.socket, until: float) -> None:
        self._socket, self._until = sock, until
        # Holds the socket open, which its connection closes before the answer is read.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
