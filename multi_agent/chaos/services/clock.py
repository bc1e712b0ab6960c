"""Steps of the wall clock under running processes; their monotonic clocks go on as they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from contracts.base.errors import Unavailable

_SOURCE = Path(__file__).with_name("clock.c")


def find_compiler() -> str | None:
    """What can compile the library that stands between a process and the clock."""
    return shutil.which("cc")


class SteppedClock:
    """The wall clock of every process that starts with `env`. Raises Unavailable when it cannot be made."""

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
        """Set it so many seconds ahead of the true time, or behind."""
        with self._file.open("r+b") as shared:
            shared.write(seconds.to_bytes(8, "little", signed=True))
