"""One container of the engine, and the stream to its process 1."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any, Protocol

import docker

from contracts.base.failpoints import failpoint
from contracts.ports.sandbox import SandboxLimits
from sandbox_runner.docker.api import translated
from sandbox_runner.docker.shims import end_shim
from sandbox_runner.engine.conversation import Transcript
from sandbox_runner.engine.payload import boot_block

_STREAM_HEADER = 8
_STREAM_STDOUT = 1
_DIAGNOSIS_BYTES = 2_000


class Ended(Protocol):
    """Is called when a container's use is over."""

    def __call__(self, name: str, *, removed: bool) -> None: ...


class Container:
    """A container that is used once (see pool.WarmSandbox). What is not async blocks."""

    def __init__(self, client: docker.APIClient, name: str, ended: Ended) -> None:
        """`ended` hears the name at the end, and whether the container is known to be gone."""
        self.name = name
        self._client = client
        self._ended = ended
        self._socket: socket.socket | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._complaints = b""

    def start(self, options: dict[str, Any]) -> None:
        """Create, attach, start, in this order, so that not a byte is lost. Raises SandboxUnavailable."""
        with translated("the container cannot be started"):
            self._client.create_container(name=self.name, **options)
            failpoint("sandbox.created")
            params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self._client.attach_socket(self.name, params)
            self._socket = socket.socket(fileno=os.dup(attached.fileno()))
            # Closing what the SDK hands out leaves the connection behind it open; the response closes both.
            attached._response.close()
            self._client.start(self.name)

    async def open_stream(self) -> None:
        assert self._socket is not None
        self._socket.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
        self._writer.write(boot_block())

    def alive(self) -> bool:
        return self._reader is not None and not self._reader.at_eof()

    async def confine(self, limits: SandboxLimits) -> None:
        """The engine has done it at the start."""

    async def end(self) -> None:
        """Close the stream, kill and remove. Raises SandboxUnavailable."""
        removed = False
        try:
            await self._close_stream()
            await asyncio.to_thread(remove, self._client, self.name, started=self._writer is not None)
            removed = True
        finally:
            self._ended(self.name, removed=removed)

    async def _close_stream(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        elif self._socket is not None:
            self._socket.close()

    async def send(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Bytes of standard output; the engine mixes both outputs into one stream of headed pieces."""
        assert self._reader is not None
        try:
            while True:
                header = await self._reader.readexactly(_STREAM_HEADER)
                data = await self._reader.readexactly(int.from_bytes(header[4:], "big"))
                if header[0] == _STREAM_STDOUT and data:
                    return data
                self._complaints = (self._complaints + data)[:_DIAGNOSIS_BYTES]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def diagnosis(self) -> str:
        text = self._complaints.decode("utf-8", "replace").strip()
        return f"It said: {text}" if text else ""

    async def killed_for_memory(self, heard: Transcript) -> bool:
        """Whether the kernel ended process 1 for memory; of others it tells itself."""
        if heard.ended is not None or heard.timed_out:
            return False
        state = await asyncio.to_thread(self._state)
        return bool(state["OOMKilled"])

    def _state(self) -> dict[str, Any]:
        with translated("the container's end is not known"):
            state: dict[str, Any] = self._client.inspect_container(self.name)["State"]
        return state


def remove(client: docker.APIClient, name: str, *, started: bool) -> None:
    """Kill and remove; one that is not there is fine. Raises SandboxUnavailable.

    started: whether the engine said so. One that was killed while it started a container may know nothing of
    what it left until the container is started again. A guest without a job does nothing.
    """
    with translated("the container cannot be removed"):
        if not started and not _starts(client, name):
            with contextlib.suppress(docker.errors.APIError):
                end_shim(client, name)
            _starts(client, name)
        try:
            client.remove_container(name, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != 409:  # somebody else is removing it already
                raise


def _starts(client: docker.APIClient, name: str) -> bool:
    try:
        client.start(name)
    except docker.errors.APIError:
        return False
    return True
