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
from sandbox_runner.engine.payload import boot_block
from sandbox_runner.engine.protocol import Transcript

_STREAM_HEADER = 8
_STREAM_STDOUT = 1
_DIAGNOSIS_BYTES = 2_000


class OnEnd(Protocol):
    """A callback for the end of a container; `removed` tells whether it is known to be removed."""

    def __call__(self, name: str, *, removed: bool) -> None: ...


class Container:
    """A container that runs one job (see pool.WarmSandbox). Methods that are not async block."""

    def __init__(self, client: docker.APIClient, name: str, on_end: OnEnd) -> None:
        self.name = name
        self._client = client
        self._on_end = on_end
        self._socket: socket.socket | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._stderr = b""

    def start(self, options: dict[str, Any]) -> None:
        """Create, attach, start, in this order so that no output is lost. Raises SandboxUnavailable."""
        with translated("the container cannot be started"):
            self._client.create_container(name=self.name, **options)
            failpoint("sandbox.created")
            params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self._client.attach_socket(self.name, params)
            self._socket = socket.socket(fileno=os.dup(attached.fileno()))
            # Closing the SDK's socket object leaves the connection open; closing the response closes both.
            attached._response.close()
            self._client.start(self.name)

    async def open_stream(self, *, workspace: bool = False) -> None:
        """Connect the streams of the attached socket, and send the guest's modules."""
        assert self._socket is not None
        self._socket.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
        self._writer.write(boot_block(workspace=workspace))

    def alive(self) -> bool:
        return self._reader is not None and not self._reader.at_eof()

    async def confine(self, limits: SandboxLimits) -> None:
        """Do nothing: the engine set the limits at the start."""

    async def end(self) -> None:
        """Close the stream, then kill and remove the container. Raises SandboxUnavailable."""
        removed = False
        try:
            await self._close_stream()
            await asyncio.to_thread(remove, self._client, self.name, started=self._writer is not None)
            removed = True
        finally:
            self._on_end(self.name, removed=removed)

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
        """Read bytes of standard output. Both outputs come in one stream, in pieces with a header."""
        assert self._reader is not None
        try:
            while True:
                header = await self._reader.readexactly(_STREAM_HEADER)
                data = await self._reader.readexactly(int.from_bytes(header[4:], "big"))
                if header[0] == _STREAM_STDOUT and data:
                    return data
                self._stderr = (self._stderr + data)[:_DIAGNOSIS_BYTES]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def diagnosis(self) -> str:
        text = self._stderr.decode("utf-8", "replace").strip()
        return f"It said: {text}" if text else ""

    async def killed_for_memory(self, transcript: Transcript) -> bool:
        """Tell whether the kernel killed process 1 for memory; the guest reports that of other processes."""
        if transcript.result is not None or transcript.timed_out:
            return False
        state = await asyncio.to_thread(self._state)
        return bool(state["OOMKilled"])

    def _state(self) -> dict[str, Any]:
        with translated("the container's state is not known"):
            state: dict[str, Any] = self._client.inspect_container(self.name)["State"]
        return state


def remove(client: docker.APIClient, name: str, *, started: bool) -> None:
    """Kill and remove a container, if there is one of this name. Raises SandboxUnavailable.

    `started`: whether the engine confirmed the start. An engine that was killed while it started a container
    may not know the process that it left behind until the container is started again. Starting it again is
    harmless, because a guest without a job does nothing.
    """
    with translated("the container cannot be removed"):
        if not started and not _try_start(client, name):
            with contextlib.suppress(docker.errors.APIError):
                end_shim(client, name)
            _try_start(client, name)
        try:
            client.remove_container(name, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != 409:  # another process is removing it
                raise


def _try_start(client: docker.APIClient, name: str) -> bool:
    try:
        client.start(name)
    except docker.errors.APIError:
        return False
    return True
