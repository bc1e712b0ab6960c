"""Reads objects by name with one long-lived `git cat-file --batch`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO

from artifacts.git.process import command, environment
from contracts.base.errors import ArtifactError

# Requests sent before the first answer is read must fit the pipe, or both sides wait for each other.
_AHEAD_BYTES = 32_000


@dataclass(frozen=True, slots=True)
class GitObject:
    """An answer of cat-file."""

    oid: str
    kind: bytes
    content: bytes


class TooLarge(ArtifactError):
    """What was asked for is larger than its reader allows; it was not read."""


class _Ended(Exception):
    """The process ended while it read the object of this name: it was killed, or the object is damaged."""


class CatFile:
    """Reads objects. Safe to use from several threads.

    `close` ends the process, and the next question starts another.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read_all(self, names: Sequence[str], *, max_bytes: int | None = None) -> Iterator[GitObject | None]:
        """Yield one answer a name, in order. Raises ArtifactError before holding more than `max_bytes`."""
        left = max_bytes
        for start, end in _chunks(names):
            with self._lock:
                found = self._exchange(names[start:end], left)
            if left is not None:
                left -= sum(len(one.content) for one in found if one)
            yield from found

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _exchange(self, names: Sequence[str], max_bytes: int | None) -> list[GitObject | None]:
        """Ask, and once more when the process ended meanwhile, since somebody may have killed it."""
        try:
            return self._ask(names, max_bytes)
        except _Ended:
            pass
        try:
            return self._ask(names, max_bytes)
        except _Ended as error:
            raise ArtifactError(
                f"object {error} cannot be read; `git fsck` in the store shows what is damaged"
            ) from None

    def _ask(self, names: Sequence[str], max_bytes: int | None) -> list[GitObject | None]:
        process = self._started()
        try:
            stdin, stdout = _pipes(process)
            stdin.write("".join(f"{name}\n" for name in names).encode())
            stdin.flush()
            found: list[GitObject | None] = []
            for name in names:
                one = _answer(stdout, name, max_bytes)
                if one and max_bytes is not None:
                    max_bytes -= len(one.content)
                found.append(one)
            return found
        except BrokenPipeError:
            self._stop()
            raise _Ended(names[0]) from None
        except BaseException:
            # Otherwise the next question would read the answers left over.
            self._stop()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            self._process = subprocess.Popen(
                command(self._git_dir, ["cat-file", "--batch"]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
            )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe:
                    pipe.close()
            except BrokenPipeError:
                continue
        process.wait()


def _chunks(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = size = 0
    for index, name in enumerate(names):
        size += len(name.encode()) + 1
        if size > _AHEAD_BYTES and index > start:
            yield start, index
            start, size = index, len(name.encode()) + 1
    if start < len(names):
        yield start, len(names)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise ArtifactError("git cat-file has no pipes")
    return process.stdin, process.stdout


def _answer(stdout: IO[bytes], name: str, max_bytes: int | None) -> GitObject | None:
    header = stdout.readline()
    parts = header.split()
    if header.endswith(b" missing\n"):
        return None
    if len(parts) != 3 or not parts[2].isdigit():
        raise _Ended(name)
    size = int(parts[2])
    if max_bytes is not None and size > max_bytes:
        raise too_large()
    content = stdout.read(size)
    if len(content) != size or stdout.read(1) != b"\n":
        raise _Ended(name)
    return GitObject(parts[0].decode(), parts[1], content)


def too_large() -> TooLarge:
    """Make the error for more than `max_bytes`."""
    return TooLarge(
        "these files are together larger than may be read; "
        "for those of a repository MULTI_AGENT_MAX_REPOSITORY_MB sets the limit"
    )
