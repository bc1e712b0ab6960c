"""Sends files to the host as a tar stream.

Files of every type are sent as they are. The host's reader decides what to refuse.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from typing import Any

from sandbox_runner.guest import wire

# Below the kernel's PATH_MAX of 4,096 bytes with some room, and far above what the host accepts.
_TOO_LONG_TO_OPEN = 3_000


class Refused(Exception):
    """The files cannot be sent as a tar stream, or exceed a limit."""


class _Sink:
    def write(self, data: bytes) -> int:
        wire.send(wire.TAR, data)
        return len(data)


def send_files(patterns: list[str], limits: dict[str, Any]) -> None:
    """Send the files that the patterns name below the current folder. Raises Refused above the limits.

    No other process may run, because the folder is read by path names.
    """
    left_bytes, left_files = limits["collect_bytes"], limits["collect_files"]
    archive = tarfile.open(fileobj=_Sink(), mode="w|", bufsize=wire.CHUNK, format=tarfile.PAX_FORMAT)  # type: ignore[call-overload]  # noqa: SIM115 - stays open when refused
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
        add_entry(archive, info, path)
    archive.close()


def add_entry(archive: tarfile.TarFile, info: tarfile.TarInfo, path: bytes) -> None:
    """Add what lies at a path; of what its owner may not read the entry alone."""
    if info.isreg() and info.mode & stat.S_IRUSR:
        with open(path, "rb") as file:
            archive.addfile(info, file)
    else:
        info.size = 0
        archive.addfile(info)


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
    """Yield the files of one pattern. A symbolic link in the path is yielded itself and not followed."""
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
