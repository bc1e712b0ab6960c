"""What a workspace does with files. Each runs in a process of its own, which answers on standard output.

It ends with 1 and one line on standard error when the path or argument cannot be used, and is limited as a
program is.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

from sandbox_runner.guest import wire
from sandbox_runner.guest.collect import add_entry
from sandbox_runner.guest.placement import GIT, Copy, Overlay, Unusable

TOO_MUCH = 3
"""The exit code of `changes` above its limits."""
SHORT = 4
"""The exit code where descriptors, memory or room ran out, for which no path or argument is to blame."""
_RUN_OUT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_TEXT_BYTES = 500
_LOOKED_AT = 8_192


class Tree:
    """The files of a workspace."""

    def __init__(self, placed: Overlay | Copy, root: str) -> None:
        self._placed = placed
        self._root = os.fsencode(root)

    def work(self, name: str, arguments: dict[str, Any]) -> Callable[[], None]:
        """Return the operation of this name, for the process that does it."""
        operation = getattr(self, f"do_{name}")

        def perform() -> None:
            try:
                operation(**arguments)
            except Unusable as error:
                _fail(str(error), 1)
            except OSError as error:
                code = error.errno or errno.EIO
                # Whoever writes can do with less.
                short = code in _RUN_OUT or (code in _NO_ROOM and name != "write")
                _fail(f"{arguments.get('path', name)!r}: {os.strerror(code)}", SHORT if short else 1)

        return perform

    def do_read(self, path: str, offset: int, size: int) -> None:
        """Send a part of a file."""
        fd = os.open(self._inside(path), os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Unusable(f"{path!r}: is no file")
        os.lseek(fd, offset, os.SEEK_SET)
        while size and (part := os.read(fd, min(size, wire.CHUNK))):
            _send(part)
            size -= len(part)

    def do_write(self, path: str) -> None:
        """Write standard input to a file."""
        target = self._inside(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Unusable(f"{path!r}: is no file")
        while part := os.read(0, wire.CHUNK):
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]

    def do_list(self, path: str) -> None:
        """Send the entries of a folder."""
        with os.scandir(self._inside(path)) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        _send_json([_described(entry) for entry in entries])

    def do_glob(self, pattern: str) -> None:
        """Send the paths that match."""
        parts = os.fsencode(pattern).split(b"/")
        paths = (path for path, _ in self._files(self._root))
        _send_json([os.fsdecode(path) for path in sorted(paths) if _matches(path.split(b"/"), parts)])

    def do_grep(self, pattern: str, path: str, lines: int) -> None:
        """Send the lines that match, of a file or of all below a folder."""
        try:
            wanted = re.compile(pattern.encode("utf-8", "surrogateescape"), re.MULTILINE)
        except re.error as error:
            raise Unusable(f"pattern {pattern!r}: {error}") from None
        found: list[tuple[str, int, str]] = []
        for name in self._named(path):
            for line, text in _matching_lines(os.path.join(self._root, name), wanted, lines - len(found)):
                found.append((os.fsdecode(name), line, text[:_TEXT_BYTES].decode("utf-8", "replace")))
            if len(found) >= lines:
                break
        _send_json(found)

    def _named(self, path: str) -> list[bytes]:
        """Return the files at or below a path, sorted, without links."""
        start = self._inside(path)
        if not os.path.isdir(start):
            return [start[len(self._root) + 1 :]]
        found = self._files(start)
        return sorted(name for name, entry in found if entry.is_file(follow_symlinks=False))

    def do_changes(self, most_bytes: int, most_files: int, path_bytes: int, passed_over: list[str]) -> None:
        """Send the paths that are gone as a block of JSON, then what is new or changed as a tar stream.

        What is new in folders with the names passed over is left out.
        """
        os.fchdir(self._placed.folder)
        found, caches = self._placed.changes(), frozenset(map(os.fsencode, passed_over))
        present = [path for path in found.present if self._is_told(path, caches)]
        text = json.dumps([os.fsdecode(path) for path in sorted(found.deleted)]).encode()
        if (count := max(len(present), len(found.deleted))) > most_files:
            _fail(f"{count} files changed, {most_files} are the most", TOO_MUCH)
        _send(wire.LENGTH.pack(len(text)) + text)
        _send_tar(present, most_bytes, path_bytes)

    def _is_told(self, path: bytes, caches: frozenset[bytes]) -> bool:
        """Whether a path that may have changed has, and is no part of a cache that the tree has not."""
        base = self._placed.base
        return not (
            caches.intersection(path.split(b"/")) and base.status(path) is None
        ) and not base.has_same(path)

    def _inside(self, path: str) -> bytes:
        """Resolve a path. Links are followed, but not to outside of the tree."""
        real = os.path.realpath(os.path.join(self._root, os.fsencode(path)))
        if real != self._root and not real.startswith(self._root + b"/"):
            raise Unusable(f"{path!r}: leads out of the tree")
        return real

    def _files(self, start: bytes) -> Iterator[tuple[bytes, os.DirEntry[bytes]]]:
        """Yield the path of each file and link below, with its entry. No link is followed on the way."""
        folders = [start]
        while folders:
            with os.scandir(folders.pop()) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            for entry in entries:
                path = entry.path[len(self._root) + 1 :]
                if entry.is_dir(follow_symlinks=False):
                    if path != GIT:
                        folders.append(entry.path)
                elif path != GIT:
                    yield path, entry


def _described(entry: os.DirEntry[bytes]) -> tuple[str, str, int]:
    status = entry.stat(follow_symlinks=False)
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return os.fsdecode(entry.name), kinds.get(stat.S_IFMT(status.st_mode), "other"), status.st_size


def _matches(names: list[bytes], parts: list[bytes]) -> bool:
    if not parts or not names:
        return not names and all(part == b"**" for part in parts)
    if parts[0] == b"**":
        return _matches(names, parts[1:]) or _matches(names[1:], parts)
    return fnmatch.fnmatchcase(names[0], parts[0]) and _matches(names[1:], parts[1:])


def _matching_lines(path: bytes, wanted: re.Pattern[bytes], most: int) -> Iterator[tuple[int, bytes]]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    with open(fd, "rb") as file:
        content = file.read() if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    if b"\0" in content[:_LOOKED_AT] or not wanted.search(content):
        return
    for number, line in enumerate(content.splitlines(), start=1):
        if most <= 0:
            return
        if wanted.search(line):
            most -= 1
            yield number, line


def _send_tar(paths: list[bytes], most_bytes: int, path_bytes: int) -> None:
    left = most_bytes
    archive = tarfile.open(fileobj=_Output(), mode="w|", bufsize=wire.CHUNK, format=tarfile.PAX_FORMAT)  # type: ignore[call-overload]  # noqa: SIM115 - ends with the process
    for path in paths:
        if len(path) > path_bytes:
            _fail(f"{os.fsdecode(path)[:200]!r}: path longer than {path_bytes} bytes", 1)
        # Files that are one in this file system are several in a tree.
        archive.inodes.clear()
        info = archive.gettarinfo(os.fsdecode(path))
        if info is None or info.isfifo():
            continue  # sockets and pipes, which Git does not know either
        left -= info.size
        if left < 0:
            _fail(f"more than {most_bytes} bytes changed; large is {_largest(paths)}", TOO_MUCH)
        add_entry(archive, info, path)
    archive.close()


def _largest(paths: list[bytes]) -> str:
    """The folder at the top, or the file, in which most bytes changed."""
    sizes: dict[bytes, int] = {}
    for path in paths:
        top = path.partition(b"/")[0]
        sizes[top] = sizes.get(top, 0) + os.lstat(path).st_size
    return os.fsdecode(max(sizes, key=lambda top: sizes[top]))


class _Output:
    def write(self, data: bytes) -> int:
        _send(data)
        return len(data)


def _send(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _send_json(value: Any) -> None:
    _send(json.dumps(value).encode())


def _fail(line: str, code: int) -> None:
    os.write(2, line.encode("utf-8", "backslashreplace"))
    os._exit(code)
