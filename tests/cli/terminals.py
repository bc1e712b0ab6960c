"""Runs the command line on a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import COMMAND

COLUMNS = 120


@dataclass(frozen=True)
class Shown:
    """What a terminal was given, and how the command ended."""

    code: int
    text: str


def run_on_terminal(folder: Path, *words: str, typed: str = "", seconds: float = 100.0, **env: str) -> Shown:
    """Run a command in `folder` with a terminal for all three streams; `typed` is what a person types."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    base = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=folder, env={**base, **env}, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        os.write(master, typed.encode())
        given = bytearray()
        while chunk := _read(master):
            given += chunk
        return Shown(process.wait(), given.decode())
    finally:
        timer.cancel()
        os.close(master)
        process.kill()
        process.wait()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65_536)
    except OSError:  # how Linux tells that the last process has closed the terminal
        return b""
