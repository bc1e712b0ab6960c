"""The installed command line in folders and processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SECONDS = 110
COMMAND = (sys.executable, "-P", "-m", "multi_agent.cli")


class Cli:
    """Runs `multi-agent` in one folder with an environment of its own: no settings, no key, an empty HOME."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = SECONDS
        """How long a command may take."""
        home = folder / "home"
        home.mkdir()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *words: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run to the end; the exit code must be `code` unless that is None."""
        ended = subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=self.seconds,
            check=False,
        )
        if code is not None:
            assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr
        return ended

    def json(self, *words: str, code: int = 0, **env: str) -> Any:
        """Run and read what `--json` printed."""
        return json.loads(self(*words, "--json", code=code, **env).stdout)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Start in the background; it is killed with the test."""
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def events(self, workflow: str = "") -> list[dict[str, Any]]:
        """The journal."""
        lines = self("events", *([workflow] if workflow else []), "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def until(self, reached: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait for something that other processes do."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.1)

    def write(self, files: Mapping[str, str]) -> None:
        """Lay files out in the folder."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    made = Cli(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # what it left behind holds its pipes open
            process.communicate(timeout=10)
    assert left_behind(tmp_path) == []


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that still work for a data folder below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            environment = (entry / "environ").read_bytes()
            if f"MULTI_AGENT_DATA_DIR={folder}".encode() in environment:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found
