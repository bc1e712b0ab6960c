"""The strict tar reader: what our own guest writes is read, everything else is refused with its reason."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.base.errors import UnsafePath
from contracts.ports.trees import TreeFile
from sandbox_runner.engine.tar_reader import TarRefused, read_tar, read_tree_files

CAP = 1_000_000
Edit = Callable[[tarfile.TarInfo], None]


def _tar(*members: tuple[str, bytes], edit: Edit = lambda info: None, fmt: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|", format=fmt) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            edit(info)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def _read(data: bytes, max_bytes: int = CAP, max_members: int = 100) -> dict[str, bytes]:
    return read_tar(data, max_bytes=max_bytes, max_members=max_members)


def _reason(data: bytes, **caps: int) -> str:
    with pytest.raises(TarRefused) as caught:
        _read(data, **caps)
    assert str(caught.value)
    return caught.value.reason


def _retype(kind: bytes, linkname: str = "") -> Edit:
    def edit(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = kind, linkname, 0

    return edit


def _sum_up(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _patched(offset: int, value: bytes) -> bytes:
    """A stream of one file whose header was changed, with a sound checksum."""
    data = bytearray(_tar(("a", b"x")))
    data[offset : offset + len(value)] = value
    return _sum_up(data[:512]) + bytes(data[512:])


def _pax(records: bytes, size: int | None = None) -> bytes:
    """A file behind a hand-written pax header."""
    head = bytearray(_patched(156, b"x")[:512])
    head[124:136] = b"%011o\0" % (len(records) if size is None else size)
    return _sum_up(head) + records + bytes(-len(records) % 512) + _tar(("a", b"x"))


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 2
    length += len(str(length)) - 2
    return str(length).encode() + rest


def test_files_are_read_and_folders_are_not_files() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        folder = tarfile.TarInfo("d")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
    files = {"d/a": b"1", "ü/" + "n" * 150 + "/x": b"", "big": b"x" * 70_000}
    assert _read(_tar(*files.items())) == files
    assert _read(stream.getvalue()) == {}
    assert _read(bytes(1024)) == {}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_retype(tarfile.SYMTYPE, "/etc/shadow"), "symbolic_link"),
        (_retype(tarfile.LNKTYPE, "/etc/shadow"), "hard_link"),
        (_retype(tarfile.CHRTYPE), "device"),
        (_retype(tarfile.BLKTYPE), "device"),
        (_retype(tarfile.FIFOTYPE), "fifo"),
        (_retype(tarfile.CONTTYPE), "type"),
        (_retype(b"S"), "sparse"),
        (_retype(b"L"), "type"),
        (_retype(b"g"), "type"),
        (_retype(b"Z"), "type"),
        (_retype(tarfile.REGTYPE, "target"), "type"),
        (lambda info: setattr(info, "mode", 0o4755), "special_bits"),
        (lambda info: setattr(info, "mode", 0), "unreadable"),
    ],
)
def test_only_plain_files_and_folders(edit: Edit, reason: str) -> None:
    assert _reason(_tar(("a", b""), edit=edit)) == reason


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", ".git/config", "a/.Git/x", "GIT~1", "a\nb", "c:x",
     "a\\b", "~/x", "nul", "x.", "u\u0308", "a\u200bb"],
)  # fmt: skip
def test_unsafe_paths(path: str) -> None:
    assert _reason(_tar((path, b""))) == "path"


def test_names_that_are_not_utf_8() -> None:
    assert _reason(_tar(("a\udcff", b""))) == "encoding"
    assert _reason(_patched(0, b"\xff\xfe")) == "encoding"


def test_duplicates_and_twins() -> None:
    assert _reason(_tar(("a", b"1"), ("a", b"2"))) == "duplicate"
    assert _reason(_tar(("a", b"1"), ("A", b"2"))) == "twins"
    assert _reason(_tar(("d/a", b"1"), ("D/b", b"2"))) == "twins"
    assert _reason(_tar(("a", b"1"), ("a/b", b"2"))) == "twins"


def test_empty_folders_count_for_twins() -> None:
    def as_folder(info: tarfile.TarInfo) -> None:
        info.type = tarfile.DIRTYPE

    assert _reason(_tar(("d", b""), ("D", b""), edit=as_folder)) == "twins"
    assert _reason(_tar(("d", b""), ("d", b""), edit=as_folder)) == "duplicate"


def test_caps() -> None:
    assert _reason(_tar(("a", b"x" * 600), ("b", b"x" * 600)), max_bytes=1_000) == "too_many_bytes"
    assert _reason(_tar(*((f"f{i}", b"") for i in range(11))), max_members=10) == "too_many_members"
    assert _read(_tar(*((f"f{i}", b"") for i in range(10))), max_members=10)


def test_truncated_at_every_byte() -> None:
    data = _tar(("a", b"x" * 600))[:2560]
    assert _read(data) == {"a": b"x" * 600}
    for length in range(len(data)):
        assert _reason(data[:length]) == "truncated", length


def test_something_behind_the_end() -> None:
    assert _reason(_tar(("a", b"")) + b"\0" * 512 + b"x" * 512) == "trailing_data"


def test_every_flipped_bit_of_a_header_is_seen() -> None:
    data = _tar(("a", b"x"))
    for bit in range(512 * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        if not 148 <= bit // 8 < 156:
            assert _reason(bytes(changed)) in {"checksum"}, bit


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_patched(257, b"\0" * 8), "format"),
        (_patched(257, b"ustar  \0"), "format"),
        (_patched(124, b"\x80" + b"\0" * 10 + b"\x01"), "number"),
        (_patched(124, b"-0000000001\0"), "number"),
        (_patched(124, b"00000000009\0"), "number"),
        (_patched(124, b"\0" * 12), "number"),
        (_patched(124, b"77777777777\0"), "too_many_bytes"),
        (_patched(100, b"zzzzzzz\0"), "number"),
        (_pax(_record(b"size", b"5")), "size_lie"),
        (_pax(_record(b"size", b"-1")), "size_lie"),
        (_pax(_record(b"size", b"9" * 4000)), "size_lie"),
        (_pax(_record(b"GNU.sparse.major", b"1")), "sparse"),
        (_pax(_record(b"GNU.sparse.realsize", b"1099511627776")), "sparse"),
        (_pax(_record(b"hdrcharset", b"BINARY")), "encoding"),
        (_pax(_record(b"path", b"\xff")), "encoding"),
        (_pax(_record(b"path", b"../x")), "path"),
        (_pax(_record(b"path", b"")), "path"),
        (_pax(_record(b"linkpath", b"/etc")), "type"),
        (_pax(_record(b"SCHILY.xattr.user.x", b"1")), "pax"),
        (_pax(_record(b"path", b"b") * 2), "pax"),
        (_pax(b"99 path=b\n"), "pax"),
        (_pax(b"0 path=b\n"), "pax"),
        (_pax(b"-1 path=b\n"), "pax"),
        (_pax(b"garbage"), "pax"),
        (_pax(b"9" * 5000 + b" path=b\n"), "pax"),
        (_pax(b"x" * 9_000), "pax"),
        (_pax(b"", size=0o77777777777), "pax"),
        (_pax(_record(b"mtime", b"1"))[:1024] + _pax(_record(b"mtime", b"1")), "pax"),
        (_pax(_record(b"mtime", b"1"))[:1024] + bytes(1024), "truncated"),
    ],
)
def test_lies(data: bytes, reason: str) -> None:
    assert _reason(data) == reason


def test_a_hostile_stream_is_refused_fast() -> None:
    headers = b"".join(_tar((f"f{i}", b""))[:512] for i in range(2_000))
    before = time.process_time()
    assert len(_read(headers + bytes(1024), max_members=2_000)) == 2_000
    assert _reason(headers * 20, max_members=1_999) == "too_many_members"
    assert _reason(headers * 20, max_members=2**40) == "duplicate"
    assert time.process_time() - before < 2


_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@settings(deadline=None)
@given(st.dictionaries(_NAMES, st.binary(max_size=2_000), max_size=6))
def test_what_is_written_is_read_or_refused(files: dict[str, bytes]) -> None:
    with contextlib.suppress(UnsafePath):
        assert _read(_tar(*files.items())) == files


@settings(deadline=None)
@given(st.binary(max_size=3_000))
@example(b"")
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(TarRefused):
        _read(data)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4),
    st.booleans(),
)
def test_damage_never_surprises(changes: list[tuple[int, bytes]], mend: bool) -> None:
    """Any damage to a sound stream, with or without a mended checksum: read, or refused, nothing else."""
    data = bytearray(_tar(("d/a", b"x" * 700), ("d/" + "ü" * 80, b"y")))
    for offset, value in changes:
        data[offset : offset + len(value)] = value
    if mend:
        data = bytearray(_sum_up(data[:512])) + data[512:]
    try:
        files = _read(bytes(data))
    except TarRefused:
        return
    assert sum(map(len, files.values())) <= CAP
    assert all(not path.startswith("/") and ".." not in path.split("/") for path in files)


def _links(data: bytes) -> dict[str, TreeFile]:
    return read_tree_files(data, max_bytes=CAP, max_members=100, links=True)


@pytest.mark.parametrize("target", ["a", "../../etc/passwd", "/etc/passwd", "x" * 3_000, "grüße"])
def test_a_link_is_read_where_links_are_asked_for(target: str) -> None:
    assert _links(_tar(("l", b""), edit=_retype(tarfile.SYMTYPE, target))) == {
        "l": TreeFile(target.encode(), is_link=True)
    }


def test_modes_are_read() -> None:
    def executable(info: tarfile.TarInfo) -> None:
        info.mode = 0o755

    assert _links(_tar(("a", b"x"))) == {"a": TreeFile(b"x")}
    assert _links(_tar(("a", b"x"), edit=executable)) == {"a": TreeFile(b"x", executable=True)}


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_nothing_else_is_read_where_links_are(kind: bytes) -> None:
    with pytest.raises(TarRefused):
        _links(_tar(("l", b""), edit=_retype(kind, "a")))


def test_a_link_has_a_target_and_no_content() -> None:
    def with_content(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = tarfile.SYMTYPE, "a", 1

    for data in (
        _tar(("l", b""), edit=_retype(tarfile.SYMTYPE, "")),
        _tar(("l", b""), edit=_retype(tarfile.SYMTYPE, "x" * 5_000)),
        _tar(("l", b"x"), edit=with_content),
    ):
        with pytest.raises(TarRefused) as caught:
            _links(data)
        assert caught.value.reason == "link_target"


def test_no_file_lies_behind_a_link() -> None:
    def to_link(info: tarfile.TarInfo) -> None:
        if info.name == "d":
            info.type, info.linkname = tarfile.SYMTYPE, "/tmp"

    with pytest.raises(TarRefused) as caught:
        _links(_tar(("d", b""), ("d/x", b"x"), edit=to_link))
    assert caught.value.reason == "twins"
