"""The protocol between host and guest: length-prefixed blocks in, typed frames out.

Host to guest, on standard input: blocks of an 8-byte big-endian length and as many bytes. The host sends a
heartbeat every BEAT_SECONDS: an empty block before the job, a byte after the job's last block. The end of the
stream, or SILENCE_SECONDS without a byte, means that the host is gone: the guest ends at once.
In a workspace the job is followed by a block with the contents of files, and then by commands: COMMAND, a
block that says what to do, a block with its standard input. The host sends the next one only after the RESULT
of the last; between and during them its heartbeat is BEAT.
Guest to host, on standard output: frames of one kind byte, a 4-byte big-endian length and as many bytes.
"""

from __future__ import annotations

import os
import struct

HEAD = struct.Struct(">cI")
LENGTH = struct.Struct(">Q")
CHUNK = 65_536
BEAT_SECONDS = 3.0
SILENCE_SECONDS = 15.0
IDLE_BEAT = LENGTH.pack(0)

COMMAND = b">"
BEAT = b"."

READY = b"Y"
STARTED = b"S"
STDOUT = b"O"
STDERR = b"E"
RESULT = b"R"
TAR = b"T"
REFUSED = b"P"
BAD_INPUT = b"I"
BROKEN = b"X"
END = b"Z"


def read_block() -> bytes:
    """Read the next block from the host. Exits when the host is gone."""
    (length,) = LENGTH.unpack(_read_exactly(LENGTH.size))
    return _read_exactly(length)


def read_mark() -> bytes:
    """Read COMMAND or BEAT. Exits when the host is gone."""
    return _read_exactly(1)


def _read_exactly(count: int) -> bytes:
    parts = []
    while count:
        part = os.read(0, min(count, CHUNK))
        if not part:
            os._exit(0)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def send(kind: bytes, data: bytes) -> None:
    """Write one frame. Exits when the host is gone."""
    view = memoryview(HEAD.pack(kind, len(data)) + data)
    try:
        while view:
            view = view[os.write(1, view) :]
    except ConnectionError:
        os._exit(0)
