"""The host's side of a probe: what is left of a program, and what a program must not reach."""

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
    """A word that no other process has in its command line, to find a process by."""
    return f"{9_000 + secrets.randbelow(900)}.{secrets.randbelow(10**9):09}"


def processes_with(marker: str) -> list[int]:
    """Ids of this machine's processes whose command line holds the marker as a word of its own."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if marker.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


class Listeners:
    """Sockets of this host by which a program must not get here, and who came."""

    def __init__(self, folder: str) -> None:
        self.port = 0
        self.path = f"{folder}/socket"
        self.name = f"sandbox-probe-{secrets.token_hex(8)}"
        self._own = secrets.token_bytes(8)
        self._came: Counter[str] = Counter()
        self._ours: Counter[str] = Counter()
        self._news = asyncio.Event()

    @property
    def reached(self) -> list[str]:
        """By which ways somebody else came."""
        return sorted(self._came - self._ours)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen by TCP and UDP on loopback, and by two Unix sockets, one of them abstract."""
        tcp = await asyncio.start_server(self._taker("a TCP port"), "127.0.0.1", 0)
        self.port = tcp.sockets[0].getsockname()[1]
        named = await asyncio.start_unix_server(self._taker("a Unix socket"), self.path)
        abstract = await asyncio.start_unix_server(self._taker("an abstract Unix socket"), "\0" + self.name)
        udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(self._take), local_addr=("127.0.0.1", self.port)
        )
        try:
            async with tcp, named, abstract:
                yield
                await self._call_in()
        finally:
            udp.close()

    def _taker(self, way: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._came[way] += 1
            self._note(way, await reader.read(100))
            writer.close()

        return take

    def _take(self, data: bytes) -> None:
        self._came["a UDP port"] += 1
        self._note("a UDP port", data)

    def _note(self, way: str, data: bytes) -> None:
        if data == self._own:
            self._ours[way] += 1
            self._news.set()

    async def _call_in(self) -> None:
        """Come by each way and wait until that was noticed: who came before has been noticed then, too."""
        writers = [
            (await asyncio.open_connection("127.0.0.1", self.port))[1],
            (await asyncio.open_unix_connection(self.path))[1],
            (await asyncio.open_unix_connection("\0" + self.name))[1],
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(self._own, ("127.0.0.1", self.port))
        for writer in writers:
            writer.write(self._own)
        async with asyncio.timeout(_NOTICE_SECONDS):
            while len(self._ours) < len(writers) + 1:
                self._news.clear()
                await self._news.wait()
        for writer in writers:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, _address: object) -> None:
        self._take(data)
