"""What comes out of a build is written below one folder, and nothing of it leads out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.base.errors import EnvironmentFailed
from sandbox_runner.environments.making.outcome import PACK, unpack


def packed(folder: Path, stream: Path) -> io.BytesIO:
    """What the packer makes of a folder."""
    subprocess.run([sys.executable, "-I", "-S", "-c", PACK, folder, stream], check=True)
    return io.BytesIO(stream.read_bytes())


def test_files_links_modes_and_times_come_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "empty folder").mkdir()
    (source / "bin/tool").write_text("x")
    (source / "bin/tool").chmod(0o755)
    os.utime(source / "bin/tool", (1_000_000_000, 1_000_000_000))
    os.link(source / "bin/tool", source / "twin")
    (source / "aux:odd\\name").write_bytes(b"1")
    (source / "bin/python").symlink_to("/usr/bin/python3")
    (source / "lib64").symlink_to("bin")
    os.mkfifo(source / "fifo")
    (tmp_path / "stream").symlink_to(tmp_path / "elsewhere")
    unpack(packed(source, tmp_path / "stream"), tmp_path / "target")
    target = tmp_path / "target"
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*")) == [
        "aux:odd\\name",
        "bin",
        "bin/python",
        "bin/tool",
        "empty folder",
        "lib64",
        "twin",
    ]
    status = (target / "bin/tool").stat()
    assert (status.st_mode & 0o777, status.st_mtime, status.st_nlink) == (0o755, 1_000_000_000, 1)
    assert (target / "twin").read_text() == "x"
    assert os.readlink(target / "bin/python") == "/usr/bin/python3"
    assert not (tmp_path / "elsewhere").exists()


def member(name: str, *, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


def _link(tar: tarfile.TarFile, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> None:
    tar.addfile(member(name, kind=kind, target=target))


def _file(tar: tarfile.TarFile, name: str) -> None:
    tar.addfile(member(name, size=1), io.BytesIO(b"x"))


def _through_a_link(tar: tarfile.TarFile) -> None:
    _link(tar, "a", "/")
    _file(tar, "a/outside")


def _link_below_a_link(tar: tarfile.TarFile) -> None:
    _link(tar, "a", "..")
    _link(tar, "a/b", "/etc/passwd")


def _twice(tar: tarfile.TarFile) -> None:
    _file(tar, "a")
    _file(tar, "a")


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda tar: _file(tar, "../a"), "is no path within it"),
        (lambda tar: _file(tar, "/a"), "is no path within it"),
        (lambda tar: _file(tar, "a//b"), "is no path within it"),
        (lambda tar: _link(tar, "../a", "b"), "is no path within it"),
        (_through_a_link, "File exists"),
        (_link_below_a_link, "lies below a link"),
        (_twice, "File exists"),
        (lambda tar: _link(tar, "a", "b", tarfile.LNKTYPE), "is no file, folder or link"),
        (lambda tar: tar.addfile(member("a", kind=tarfile.CHRTYPE)), "is no file, folder or link"),
        (lambda tar: tar.addfile(member("a", kind=tarfile.FIFOTYPE)), "is no file, folder or link"),
    ],
)
def test_what_leads_out_is_refused(
    tmp_path: Path, write: Callable[[tarfile.TarFile], None], told: str
) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        write(tar)
    stream.seek(0)
    with pytest.raises(EnvironmentFailed, match=told):
        unpack(stream, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100])
def test_what_is_no_stream_leaves_nothing_outside(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(EnvironmentFailed):
        unpack(io.BytesIO(content), tmp_path / "target")
