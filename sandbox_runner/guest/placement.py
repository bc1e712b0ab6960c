"""Puts the tree of a workspace where programs work, and knows how to tell what they changed."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any

from sandbox_runner.guest import isolate, linux

GIT = b".git"
_OPAQUE, _PROBE = "user.overlay.opaque", "user.overlay.probe"
_SETTLE_SECONDS = 0.02
_FLAGS = linux.MS_NOSUID | linux.MS_NODEV
_FOLDER = (0, 0)
# Below the kernel's PATH_MAX of 4,096 bytes with some room, and far above what a tree may hold.
_TOO_LONG_TO_OPEN = 3_000
_COMPARED = 1 << 20


class Unusable(Exception):
    """A path or an argument cannot be used."""


class Changes:
    """What differs from the tree: paths that are gone, and files and links that may be new or changed.

    A path that was a file and is a folder now, or the other way round, is gone.
    """

    def __init__(self) -> None:
        self.deleted: list[bytes] = []
        self.present: list[bytes] = []


class Base:
    """The files of the tree as it was. No link is followed."""

    def __init__(self, folder: int) -> None:
        self.folder = folder
        self._folders = {b"": True}

    def status(self, path: bytes) -> os.stat_result | None:
        """Return what the tree has at a path, None for nothing."""
        for end in [i for i, byte in enumerate(path) if byte == ord("/")]:
            if not self._is_folder(path[:end]):
                return None
        try:
            return os.lstat(path, dir_fd=self.folder)
        except OSError:
            return None

    def _is_folder(self, path: bytes) -> bool:
        """Tell whether it is one; those above it are."""
        if path not in self._folders:
            try:
                self._folders[path] = stat.S_ISDIR(os.lstat(path, dir_fd=self.folder).st_mode)
            except OSError:
                self._folders[path] = False
        return self._folders[path]

    def has_same(self, path: bytes) -> bool:
        """Tell whether a path of the current folder is, content and mode, what the tree has there."""
        old, new = self.status(path), os.lstat(path)
        if old is None or stat.S_IFMT(old.st_mode) != stat.S_IFMT(new.st_mode):
            return False
        if stat.S_ISLNK(new.st_mode):
            return os.readlink(path, dir_fd=self.folder) == os.readlink(path)
        executable = (old.st_mode ^ new.st_mode) & stat.S_IXUSR
        plain = stat.S_ISREG(new.st_mode) and new.st_mode & stat.S_IRUSR and not new.st_mode & 0o7000
        same = plain and not executable and old.st_size == new.st_size
        return bool(same) and _same_content(self.folder, path)


class Overlay:
    """A tree over which another folder takes what is written. That folder says what changed."""

    name = "overlay"

    def __init__(self, base: Base, written: int) -> None:
        self.base, self.folder = base, written

    def changes(self) -> Changes:
        """See Changes. The current folder must be `folder`."""
        found = Changes()
        for path, status in _walk(b"."):
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                if self.base.status(path) is not None:
                    found.deleted.append(path)
            elif not stat.S_ISDIR(status.st_mode):
                found.present.append(path)
                if _kind(self.base.status(path)) == stat.S_IFDIR:
                    found.deleted.append(path)
            elif _is_opaque(path):
                # Nothing of the tree shows through this folder.
                found.deleted += self._hidden(path)
        return found

    def _hidden(self, path: bytes) -> Iterator[bytes]:
        """Yield what the tree has at the path, and below, that is not there any more."""
        before = _kind(self.base.status(path))
        if before not in {None, stat.S_IFDIR}:
            yield path
        if before != stat.S_IFDIR:
            return
        for here, folders, names, _ in os.fwalk(path, dir_fd=self.base.folder):
            for name in (*folders, *names):
                below = os.path.join(here, name)
                kind = _kind(_status(below))
                if kind is None or (kind == stat.S_IFDIR) != (name in folders):
                    yield below


class Copy:
    """A tree of which every file was copied. What changed since then has another inode or change time."""

    name = "copy"

    def __init__(self, base: Base, folder: int, known: dict[bytes, tuple[int, int]]) -> None:
        self.base, self.folder = base, folder
        self._known = known

    def changes(self) -> Changes:
        """See Changes. The current folder must be `folder`."""
        found = Changes()
        seen: dict[bytes, tuple[int, int]] = {}
        for path, status in _walk(b"."):
            known, now = self._known.get(path), _identity(status)
            if now not in {known, _FOLDER}:
                found.present.append(path)
            seen[path] = now
        for path, before in self._known.items():
            gone = path not in seen or (seen[path] == _FOLDER) != (before == _FOLDER)
            if gone and self.base.status(path) is not None:
                found.deleted.append(path)
        return found


def place(plan: dict[str, Any], isolation: dict[str, Any] | None) -> Overlay | Copy:
    """Make the work folder of these layers, the first on top. The one called `tree` holds the tree alone."""
    base = Base(os.open(plan["tree"], os.O_RDONLY | os.O_DIRECTORY))
    placed: Overlay | Copy | None = None
    if isolation and plan["overlay"]:
        placed = _overlay(plan, isolation, base)
    if placed is None:
        placed = _copy(plan, isolation, base)
    if isolation:
        for layer in plan["layers"]:
            linux.mount("tmpfs", layer, "tmpfs", _FLAGS | linux.MS_RDONLY, "size=4k")
    return placed


def _same_content(base: int, path: bytes) -> bool:
    old = os.open(path, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=base)
    with open(old, "rb") as one, open(path, "rb") as two:
        while part := one.read(_COMPARED):
            if part != two.read(_COMPARED):
                return False
    return True


def _overlay(plan: dict[str, Any], isolation: dict[str, Any], base: Base) -> Overlay | None:
    """Mount an overlay; None where the kernel does not let this user, or has no attributes for it."""
    place = plan["written"]
    linux.mount("tmpfs", place, "tmpfs", _FLAGS, plan["options"])
    upper, inner = f"{place}/upper", f"{place}/inner"
    try:
        with isolate.identity(isolation):
            os.mkdir(upper)
            os.mkdir(inner)
            os.setxattr(upper, _PROBE, b"y")
            os.removexattr(upper, _PROBE)
        options = f"lowerdir={':'.join(plan['layers'])},upperdir={upper},workdir={inner},userxattr,index=off"
        linux.mount("overlay", plan["workdir"], "overlay", _FLAGS, options)
        written = os.open(upper, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        linux.detach(place)
        return None
    linux.detach(place)
    return Overlay(base, written)


def _copy(plan: dict[str, Any], isolation: dict[str, Any] | None, base: Base) -> Copy:
    work: str = plan["workdir"]
    if isolation:
        linux.mount("tmpfs", work, "tmpfs", _FLAGS, plan["copy_options"])
    with isolate.identity(isolation):
        for layer in plan["layers"]:
            shutil.copytree(layer, work, symlinks=True, dirs_exist_ok=True, ignore=_taken(layer, work))
    os.chdir(work)
    known = {path: _identity(one) for path, one in _walk(b".")}
    # What is written later gets another change time.
    time.sleep(_SETTLE_SECONDS)
    return Copy(base, os.open(work, os.O_RDONLY | os.O_DIRECTORY), known)


def _taken(layer: str, work: str) -> Callable[[str, list[str]], list[str]]:
    """Tell `copytree` what of a folder is there already, folders in both aside."""

    def taken(here: str, names: list[str]) -> list[str]:
        target = os.path.join(work, os.path.relpath(here, layer))
        return [name for name in names if _is_taken(os.path.join(here, name), os.path.join(target, name))]

    return taken


def _is_taken(source: str, target: str) -> bool:
    kinds = _kind(_status(os.fsencode(source))), _kind(_status(os.fsencode(target)))
    return kinds[1] is not None and kinds != (stat.S_IFDIR, stat.S_IFDIR)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return _FOLDER if stat.S_ISDIR(status.st_mode) else (status.st_ino, status.st_ctime_ns)


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _kind(status: os.stat_result | None) -> int | None:
    return None if status is None else stat.S_IFMT(status.st_mode)


def _is_opaque(path: bytes) -> bool:
    try:
        return os.getxattr(path, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _walk(folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield everything below the current folder but Git's own, a folder before what is in it."""
    folders = [folder]
    while folders:
        here = folders.pop()
        with os.scandir(here) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            path = entry.path.removeprefix(b"./")
            if path == GIT:
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                if len(path) > _TOO_LONG_TO_OPEN:
                    raise Unusable(f"{os.fsdecode(path)[:200]!r}: path longer than {_TOO_LONG_TO_OPEN} bytes")
                folders.append(entry.path)
            yield path, status
