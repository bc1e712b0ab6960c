"""The host's side of a probe: what is left of a program, and what a program must not reach."""

from __future__ import annotations

import asyncio
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

CANARY = "what a sandbox must not read"


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


@dataclass(slots=True)
class Listeners:
    """Sockets of this host; `reached` grows when somebody comes."""

    port: int = 0
    path: str = ""
    name: str = ""
    reached: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, what: str) -> None:
        """Somebody came."""
        self.reached.append(what)
        self.news.set()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners

    def datagram_received(self, _data: bytes, _address: object) -> None:
        self._listeners.note("the host's UDP port")


@asynccontextmanager
async def listening() -> AsyncIterator[Listeners]:
    """Listen on loopback by TCP and UDP, on a Unix socket with a path, and on an abstract one."""
    listeners = Listeners(name=f"sandbox-probe-{secrets.token_hex(8)}")

    def noting(what: str) -> object:
        async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            listeners.note(what)
            writer.close()

        return note

    with tempfile.TemporaryDirectory(prefix="ma-probe-") as folder:
        listeners.path = f"{folder}/socket"
        tcp = await asyncio.start_server(noting("the host's TCP port"), "127.0.0.1", 0)  # type: ignore[arg-type]
        listeners.port = tcp.sockets[0].getsockname()[1]
        named = await asyncio.start_unix_server(noting("a Unix socket of the host"), listeners.path)  # type: ignore[arg-type]
        abstract = await asyncio.start_unix_server(
            noting("an abstract Unix socket of the host"),  # type: ignore[arg-type]
            "\0" + listeners.name,
        )
        loop = asyncio.get_running_loop()
        udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(listeners), local_addr=("127.0.0.1", listeners.port), family=socket.AF_INET
        )
        try:
            async with tcp, named, abstract:
                yield listeners
                # What has arrived is taken up in the order of arrival, so this own call is the last one.
                await _call_in(listeners)
        finally:
            udp.close()


async def _call_in(listeners: Listeners) -> None:
    """Call every listener and wait until it has noticed; those calls are taken off again."""
    before = len(listeners.reached)
    _, tcp = await asyncio.open_connection("127.0.0.1", listeners.port)
    _, named = await asyncio.open_unix_connection(listeners.path)
    _, abstract = await asyncio.open_unix_connection("\0" + listeners.name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"own", ("127.0.0.1", listeners.port))
    async with asyncio.timeout(10):
        while len(listeners.reached) < before + 4:
            listeners.news.clear()
            await listeners.news.wait()
    for writer in (tcp, named, abstract):
        writer.close()
    own = {
        "the host's TCP port",
        "the host's UDP port",
        "a Unix socket of the host",
        "an abstract Unix socket of the host",
    }
    for what in own:
        listeners.reached.remove(what)
