"""Steps the wall clock of running processes. Their monotonic clocks are not affected."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from contracts.base.errors import Unavailable

_SOURCE = Path(__file__).with_name("clock.c")


def find_compiler() -> str | None:
    """Find a C compiler for the library that intercepts calls to the clock; None without one."""
    return shutil.which("cc")


class SteppedClock:
    """The wall clock of every process started with `env`. Raises Unavailable when it cannot be compiled."""

    def __init__(self, compiler: str, folder: Path) -> None:
        library = folder / "clock.so"
        self._file = folder / "clock"
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable(f"{_SOURCE.name} cannot be compiled: {done.stderr.strip()}")
        self._file.write_bytes(bytes(8))
        self.env = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)}

    def step(self, seconds: int) -> None:
        """Set the clock `seconds` ahead of the true time; negative values set it back."""
        with self._file.open("r+b") as shared:
            shared.write(seconds.to_bytes(8, "little", signed=True))
