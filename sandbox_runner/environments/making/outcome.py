"""Takes out of a workspace what was built in it: a tar stream in a file, read in parts and not trusted."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from contracts.base.errors import EnvironmentFailed, LimitExceeded
from contracts.ports.workspace import Workspace

STREAM: Final = ".environment.tar"
MOST_BYTES: Final = 4_000_000_000
_MOST_MEMBERS: Final = 300_000
_PART: Final = 8 * 1024 * 1024
_LONGEST: Final = 3_000

# Run by the base interpreter. Hard links become files; what is no file, folder or link stays out.
PACK: Final = """
import io, os, stat, sys, tarfile
folder, stream = sys.argv[1:]
if os.path.lexists(stream):
    os.unlink(stream)
with tarfile.open(stream, "w", format=tarfile.PAX_FORMAT) as tar:
    for here, folders, names in os.walk(folder):
        for name in folders + names:
            path = os.path.join(here, name)
            status = os.lstat(path)
            member = tarfile.TarInfo(os.path.relpath(path, folder))
            member.mtime, member.mode = int(status.st_mtime), stat.S_IMODE(status.st_mode)
            if stat.S_ISREG(status.st_mode):
                member.size = status.st_size
                with open(path, "rb") as content:
                    tar.addfile(member, content)
            elif stat.S_ISLNK(status.st_mode):
                member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
                tar.addfile(member)
            elif stat.S_ISDIR(status.st_mode):
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
"""


async def read_stream(workspace: Workspace, target: BinaryIO, path: str = STREAM) -> None:
    """Copy the stream, or another file, into a file of this process's own. Raises LimitExceeded."""
    size = 0
    while part := await workspace.read(path, offset=size, size=_PART):
        size += len(part)
        if size > MOST_BYTES:
            raise LimitExceeded(f"the environment has more than {MOST_BYTES // 1_000_000:,} MB")
        target.write(part)


def unpack(stream: BinaryIO, folder: Path) -> None:
    """Write what a stream holds below an empty folder. Raises EnvironmentFailed for what it may not hold.

    Links come last, so that nothing is written through one.
    """
    links: dict[str, str] = {}
    folder.mkdir()
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in _members(tar):
                if member.issym():
                    links[_safe(member.name)] = member.linkname
                else:
                    _write(tar, member, folder / _safe(member.name))
        for path, target in links.items():
            if any(str(above) in links for above in Path(path).parents):
                raise ValueError(f"{path[:200]!r} lies below a link")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(target)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise EnvironmentFailed(f"environment, step build: what was built cannot be kept: {error}") from None


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(tar):
        if count >= _MOST_MEMBERS:
            raise ValueError(f"more than {_MOST_MEMBERS:,} files")
        if member.issparse() or not (member.isreg() or member.isdir() or member.issym()):
            raise ValueError(f"{member.name[:200]!r} is no file, folder or link")
        yield member


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    with path.open("xb") as opened:
        while part := content.read(_PART):
            opened.write(part)
    # Compiled modules hold the time of their source.
    os.utime(path, (member.mtime, member.mtime))
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _safe(name: str) -> str:
    parts = name.split("/")
    if "\0" in name or len(name) > _LONGEST or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"{name[:200]!r} is no path within it")
    return name
