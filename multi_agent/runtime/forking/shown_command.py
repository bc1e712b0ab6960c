"""The command line that other programs see of this process."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOM: Final = " " * 400
"""An argument that makes room for the longer command line of a process forked from this one."""


def show_command(words: Sequence[str]) -> None:
    """Show this command line in `ps` and /proc, cut to the room of the one that it was started with.

    Does nothing on other systems than Linux.
    """
    if sys.platform != "linux":
        return
    # The name in parentheses may hold anything; fields 48 and 49 of proc(5) are where the arguments lie.
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    room = end - start
    text = b"".join(word.encode() + b"\0" for word in words)
    # The last byte stays 0: else the kernel takes what follows, the environment, for a part of it.
    ctypes.memmove(start, text[: room - 1].ljust(room, b"\0"), room)
