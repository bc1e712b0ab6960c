"""A person or another program as the model: prompts in files or on the terminal."""

from __future__ import annotations

import asyncio
import fcntl
import re
import sys
from pathlib import Path
from typing import Final, TextIO

from contracts.base.errors import ModelRefused, NotConfigured
from contracts.base.text import visible
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash
from multi_agent.models.recordings.recording import request_text

POLL_SECONDS: Final = 0.2
END_OF_ANSWER: Final = "."

_Stamp = tuple[int, int]


class ManualFiles:
    """A ModelClient that writes `NNN-<purpose>-<hash8>.prompt.md` and waits for `<same name>.answer.*`.

    The answer is returned unchanged once its file is not empty and has not changed between two checks. Files
    whose names end in `~` or `.tmp` are ignored as unfinished. A repeated request, from any process, finds
    the existing prompt and answer. It waits without limit: the task's timeout cancels it.
    """

    def __init__(self, folder: Path, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._folder = folder
        self._poll_seconds = poll_seconds
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotConfigured(f"cannot use {folder} for prompts: {error.strerror}") from None

    @property
    def name(self) -> str:
        return "manual"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        stem = await asyncio.to_thread(self._claim, request)
        seen: _Stamp | None = None
        while True:
            found = await asyncio.to_thread(self._find_answer, stem)
            if found is not None:
                path, stamp = found
                if stamp == seen:
                    return ModelResponse(text=await asyncio.to_thread(_read_text, path), model="manual")
                seen = stamp
            await asyncio.sleep(self._poll_seconds)

    async def close(self) -> None:
        """Do nothing: no resource is held."""

    def _claim(self, request: ModelRequest) -> str:
        """Return the common part of the two file names, and write the prompt if it does not exist yet."""
        key = request_hash(request)
        ending = f"-{_slug(request.purpose)}-{key[:8]}"
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            prompts = [path.name.removesuffix(".prompt.md") for path in self._folder.glob("*.prompt.md")]
            for known in prompts:
                if known.endswith(ending):
                    return known
            numbers = [int(name[:3]) for name in prompts if re.match(r"\d{3}-", name)]
            stem = f"{max(numbers, default=0) + 1:03d}{ending}"
            self._write(f"{stem}.prompt.md", f"request: {key}\n{request_text(request)}\n")
        return stem

    def _write(self, name: str, text: str) -> None:
        unfinished = self._folder / f"{name}.tmp"
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
        unfinished.replace(self._folder / name)

    def _find_answer(self, stem: str) -> tuple[Path, _Stamp] | None:
        for path in sorted(self._folder.glob(f"{stem}.answer*")):
            if path.name.endswith(("~", ".tmp")):
                continue
            status = path.stat()
            if status.st_size:
                return path, (status.st_size, status.st_mtime_ns)
        return None


def _slug(purpose: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", purpose)[:60]


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ModelRefused(f"the answer in {path} is not UTF-8 text; save it as UTF-8") from None


class ManualTerminal:
    """A ModelClient that prints the prompt and reads the answer, up to a line with only `.` or end of file.

    The prompt is printed as contracts.base.text shows text from outside. It handles one request at a time. A
    cancelled request leaves a pending read that ends with the next line.
    """

    def __init__(self, reads: TextIO | None = None, writes: TextIO | None = None) -> None:
        self._reads = reads or sys.stdin
        # Standard output is reserved for the result of the command.
        self._writes = writes or sys.stderr
        self._turn = asyncio.Lock()

    @property
    def name(self) -> str:
        return "manual"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        async with self._turn:
            return ModelResponse(text=await asyncio.to_thread(self._converse, request), model="manual")

    async def close(self) -> None:
        """Do nothing: the streams belong to the caller."""

    def _converse(self, request: ModelRequest) -> str:
        self._writes.write(f"\n{visible(request_text(request))}\n\n")
        self._writes.write(f"# Your answer; end it with a line that contains only {END_OF_ANSWER!r}:\n")
        self._writes.flush()
        lines = []
        for line in self._reads:
            if line.rstrip("\r\n") == END_OF_ANSWER:
                break
            lines.append(line)
        return "".join(lines)
