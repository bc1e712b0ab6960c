"""The host's side of a probe: finds processes that still run, and listens where no program may connect."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

CANARY = "what a sandbox must not read"
_NOTICE_SECONDS = 10


def new_marker() -> str:
    """Return a random word to find a process by its command line."""
    return f"{9_000 + secrets.randbelow(900)}.{secrets.randbelow(10**9):09}"


def processes_with(marker: str) -> list[int]:
    """Return the ids of this machine's processes that have the marker as a word of their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if marker.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


class Listeners:
    """Sockets of this host that no sandboxed program may reach. Counts who connects."""

    def __init__(self, folder: str) -> None:
        self.port = 0
        self.path = f"{folder}/socket"
        self.name = f"sandbox-probe-{secrets.token_hex(8)}"
        self._token = secrets.token_bytes(8)
        self._all: Counter[str] = Counter()
        self._own: Counter[str] = Counter()
        self._own_arrived = asyncio.Event()

    @property
    def reached(self) -> list[str]:
        """The kinds of sockets that somebody else reached."""
        return sorted(self._all - self._own)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen on TCP and UDP on loopback, and on two Unix sockets, one of them abstract."""
        tcp = await asyncio.start_server(self._handler("a TCP port"), "127.0.0.1", 0)
        self.port = tcp.sockets[0].getsockname()[1]
        named = await asyncio.start_unix_server(self._handler("a Unix socket"), self.path)
        abstract = await asyncio.start_unix_server(self._handler("an abstract Unix socket"), "\0" + self.name)
        udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(self._on_datagram), local_addr=("127.0.0.1", self.port)
        )
        try:
            async with tcp, named, abstract:
                yield
                await self._connect_to_all()
        finally:
            udp.close()

    def _handler(self, kind: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._all[kind] += 1
            self._count_own(kind, await reader.read(100))
            writer.close()

        return handle

    def _on_datagram(self, data: bytes) -> None:
        self._all["a UDP port"] += 1
        self._count_own("a UDP port", data)

    def _count_own(self, kind: str, data: bytes) -> None:
        if data == self._token:
            self._own[kind] += 1
            self._own_arrived.set()

    async def _connect_to_all(self) -> None:
        """Connect to each socket and wait until that is counted. Earlier connections are counted before."""
        writers = [
            (await asyncio.open_connection("127.0.0.1", self.port))[1],
            (await asyncio.open_unix_connection(self.path))[1],
            (await asyncio.open_unix_connection("\0" + self.name))[1],
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(self._token, ("127.0.0.1", self.port))
        for writer in writers:
            writer.write(self._token)
        async with asyncio.timeout(_NOTICE_SECONDS):
            while len(self._own) < len(writers) + 1:
                self._own_arrived.clear()
                await self._own_arrived.wait()
        for writer in writers:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, on_datagram: Callable[[bytes], None]) -> None:
        self._on_datagram = on_datagram

    def datagram_received(self, data: bytes, _address: object) -> None:
        self._on_datagram(data)
