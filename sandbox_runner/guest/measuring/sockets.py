"""Measures the memory of all sockets of this network namespace, those that no process holds among them."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

_EACH = 4_096
"""Bytes of a socket without what lies in it."""
_AFTERLIFE = 512
"""Bytes of a closed TCP connection that waits."""
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_MEMORY = struct.Struct("=8I")
_ALL = 0xFFFF_FFFF
_UNIX_SHOW_QUEUES_AND_MEMORY = 0x30
_INET_MEMORY_BIT = 1 << 6
_UNIX_ATTRIBUTES_AT, _INET_ATTRIBUTES_AT = 16, 72
_UNIX_QUEUES, _UNIX_MEMORY, _INET_MEMORY = 4, 5, 7
_STREAM = 1
_QUEUED_MESSAGES = 11
"""Most messages in a Unix socket for datagrams."""
_OF_ONE_BYTE = 1_024
"""Most bytes that a message takes for each byte in it."""
_INODE_OF_UNIX_AT, _INODE_OF_INET_AT = 4, 68
_NOWHERE = 0
_BUFFER = 65_536
_SECONDS = 2.0
_STATES = _ALL & ~(1 << 3 | 1 << 6 | 1 << 12)
"""Of TCP, all but TIME_WAIT and SYN_RECV, which are no sockets yet or any more."""
_USUAL_MOST = 212_992


@dataclass
class SocketList:
    """What the kernel lists of the sockets of this network namespace."""

    size: int
    """Bytes of those listed, and of the others without what lies in them."""

    number: int
    used: int
    """How many are listed, and how many there are."""

    most: int
    """Bytes that one may have sent which is not listed: it was closed, and not all was read."""

    unread: int = 0
    """Most bytes in the listed ones that others have sent, as far as those may be closed."""

    inodes: set[int] = field(default_factory=set)
    unix: set[int] = field(default_factory=set)
    """Inodes, those of Unix sockets also apart."""

    def unlisted(self, held: set[int]) -> int:
        """Return the bytes in sockets that are not listed. One that a process holds has no connection.

        A closed one stays, empty or not, until its other end is closed.
        """
        return min(self.unread, max(0, self.used - self.number - len(held - self.inodes)) * self.most)


class SocketMeter:
    """Asks the kernel. It must be made before a filter forbids such sockets."""

    def __init__(self) -> None:
        self._diag = _open_diag()
        self._before = _counts()["used"]
        self._most = 2 * _most_sent()

    def listed(self) -> SocketList:
        """Ask for all sockets; where the kernel lists none, none is."""
        counts = _counts()
        used = max(0, counts["used"] - self._before)
        found = SocketList(used * _EACH + counts["tw"] * _AFTERLIFE, 0, used, self._most)
        if not used:
            return found
        try:
            for family, protocol in _ASKED if counts["TCP"] + counts["UDP"] else _ASKED[:1]:
                for inode, memory, unread in self._dump(family, protocol):
                    found.number += 1
                    found.size += memory
                    found.unread += unread
                    found.inodes.add(inode)
                    if family == socket.AF_UNIX and inode != _NOWHERE:
                        found.unix.add(inode)
        except OSError:
            return SocketList(used * (_EACH + self._most), 0, 0, self._most)
        # Some may have been closed meanwhile.
        found.used = min(used, max(0, _counts()["used"] - self._before))
        return found

    def _dump(self, family: int, protocol: int) -> Iterator[tuple[int, int, int]]:
        """Yield (inode, bytes, bytes that closed ones may have sent to it) of each socket.

        Raises OSError where the kernel cannot list them.
        """
        if self._diag is None:
            raise OSError("no sock_diag")
        is_unix = family == socket.AF_UNIX
        if is_unix:
            body = struct.pack("=BBHIII8s", family, 0, 0, _ALL, 0, _UNIX_SHOW_QUEUES_AND_MEMORY, b"\xff" * 8)
        else:
            body = struct.pack("=BBBBI48s", family, protocol, _INET_MEMORY_BIT, 0, _STATES, b"")
        request = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
        self._diag.send(request + body)
        inode_at = _INODE_OF_UNIX_AT if is_unix else _INODE_OF_INET_AT
        start = _UNIX_ATTRIBUTES_AT if is_unix else _INET_ATTRIBUTES_AT
        wanted = _UNIX_MEMORY if is_unix else _INET_MEMORY
        while True:
            data = self._diag.recv(_BUFFER)
            at = 0
            while at < len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, at)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError("sock_diag refused")
                message = data[at + _HEADER.size : at + length]
                (inode,) = struct.unpack_from("=I", message, inode_at)
                found = _attributes(message, start)
                unread = self._unread(message[1], found) if is_unix else 0
                yield inode, _memory(found.get(wanted, b"")), unread
                at += (length + 3) & ~3

    def _unread(self, kind: int, found: dict[int, bytes]) -> int:
        """Return the most bytes of memory that senders which are closed may have in a Unix socket."""
        if kind != _STREAM:
            # Its messages may be empty, and of many senders.
            return _QUEUED_MESSAGES * self._most
        queued = int.from_bytes(found.get(_UNIX_QUEUES, b"")[:4], sys.byteorder)
        return min(self._most, queued * _OF_ONE_BYTE)


_ASKED = (
    (socket.AF_UNIX, 0),
    *(
        (family, protocol)
        for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
        for family in (socket.AF_INET, socket.AF_INET6)
    ),
)


def _open_diag() -> socket.socket | None:
    try:
        diag = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    except OSError:
        return None
    diag.settimeout(_SECONDS)
    return diag


def _most_sent() -> int:
    """Return the largest buffer that a program may ask for; the kernel makes it twice that."""
    try:
        with open("/proc/sys/net/core/wmem_max", "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return _USUAL_MOST


def _attributes(message: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        found[kind] = message[at + _ATTRIBUTE.size : at + length]
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return found


def _memory(words: bytes) -> int:
    """Sum what is received, sent and set, as SK_MEMINFO has it."""
    if len(words) < _MEMORY.size:
        return 0
    received, _, sent, _, _, queued, options, backlog = _MEMORY.unpack_from(words)
    return int(received + max(sent, queued) + options + backlog)


def _counts() -> dict[str, int]:
    """Count the sockets of this network namespace: all, of TCP, of UDP, and closed ones that wait."""
    counts = {"used": 0, "TCP": 0, "UDP": 0, "tw": 0}
    for path in ("/proc/net/sockstat", "/proc/net/sockstat6"):
        try:
            with open(path, encoding="ascii") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, rest = line.partition(":")
            words = rest.split()
            values = {words[at]: int(words[at + 1]) for at in range(0, len(words) - 1, 2)}
            kind = name.rstrip("6")
            if kind in counts:
                counts[kind] += values.get("inuse", 0)
            counts["used"] += values.get("used", 0)
            counts["tw"] += values.get("tw", 0)
    return counts
