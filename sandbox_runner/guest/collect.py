"""Handing files back as a tar stream: everything is sent as what it is, the host's reader refuses."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from typing import Any

from sandbox_runner.guest import wire

# The kernel's PATH_MAX with some room; far above what is accepted.
_TOO_LONG_TO_OPEN = 3_000


class Refused(Exception):
    """Something that a tar stream cannot carry, or too much of it."""


class _Sink:
    def write(self, data: bytes) -> int:
        wire.send(wire.TAR, data)
        return len(data)


def send_files(patterns: list[str], limits: dict[str, Any]) -> None:
    """Send what the patterns name below the current folder. Raises Refused above the limits.

    Nothing may run any more: the folder is walked by name.
    """
    left_bytes, left_files = limits["collect_bytes"], limits["collect_files"]
    archive = tarfile.open(fileobj=_Sink(), mode="w|", bufsize=wire.CHUNK, format=tarfile.PAX_FORMAT)  # type: ignore[call-overload]  # noqa: SIM115 - left open on purpose when refused
    for path in _named(patterns, limits["path_bytes"]):
        left_files -= 1
        if left_files < 0:
            raise Refused(f"more than {limits['collect_files']} files")
        info = archive.gettarinfo(os.fsdecode(path))
        if info is None:
            raise Refused(f"{path!r} is a socket")
        left_bytes -= info.size
        if left_bytes < 0:
            raise Refused(f"more than {limits['collect_bytes']} bytes")
        if info.isreg() and info.mode & stat.S_IRUSR:
            with open(path, "rb") as file:
                archive.addfile(info, file)
        else:
            info.size = 0
            archive.addfile(info)
    archive.close()


def _named(patterns: list[str], path_bytes: int) -> Iterator[bytes]:
    seen: set[bytes] = set()
    for pattern in patterns:
        for path in _below(os.fsencode(pattern)):
            if len(path) > path_bytes:
                raise Refused(f"path longer than {path_bytes} bytes")
            if path not in seen:
                seen.add(path)
                yield path


def _below(pattern: bytes) -> Iterator[bytes]:
    """The files of one pattern; a link on the way to it stands for itself."""
    parts = pattern.rstrip(b"/").split(b"/")
    for depth in range(1, len(parts) + 1):
        path = b"/".join(parts[:depth])
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return
        if depth < len(parts) and not stat.S_ISDIR(mode):
            if stat.S_ISLNK(mode):
                yield path
            return
    if not stat.S_ISDIR(mode):
        yield path
    elif pattern.endswith(b"/"):
        yield from _walk(path)


def _walk(folder: bytes) -> Iterator[bytes]:
    folders = [folder]
    while folders:
        here = folders.pop()
        try:
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise Refused(f"{here[:200]!r}: {error.strerror}") from None
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and len(entry.path) < _TOO_LONG_TO_OPEN:
                folders.append(entry.path)
            else:
                yield entry.path
