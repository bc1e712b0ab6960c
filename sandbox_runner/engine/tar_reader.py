"""A strict reader for untrusted tar streams.

It accepts ustar with pax records (IEEE Std 1003.1, "pax"), regular files and folders, symbolic links where
they are asked for, and nothing else. It works in memory and writes to a dict, so a hostile stream reaches no
file of the host.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.base.errors import UnsafePath
from contracts.base.paths import check_path, check_tree
from contracts.ports.trees import TreeFile

_BLOCK = 512
_MAX_PAX_BYTES = 8_192
_ZERO = bytes(_BLOCK)
_FILE, _FOLDER, _PAX = b"0", b"5", b"x"
_REFUSED_TYPES = {
    b"1": ("hard_link", "a hard link"),
    b"2": ("symbolic_link", "a symbolic link"),
    b"3": ("device", "a character device"),
    b"4": ("device", "a block device"),
    b"6": ("fifo", "a FIFO"),
    b"S": ("sparse", "a sparse file"),
}
_HARMLESS_RECORDS = frozenset({"mtime", "atime", "ctime", "uid", "gid", "uname", "gname"})
_LINK = b"2"
_SPECIAL_BITS, _OWNER_READ, _OWNER_EXECUTE = 0o7000, 0o400, 0o100
_MAX_TARGET_BYTES = 4_095


class TarRefused(UnsafePath):
    """A tar stream was refused as a whole."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        """A word for tests and counters, such as "checksum"."""


@dataclass(frozen=True, slots=True)
class _Member:
    path: str
    size: int
    is_file: bool
    executable: bool = False
    target: bytes | None = None
    """Of a symbolic link."""


def read_tar(data: bytes | bytearray, *, max_bytes: int, max_members: int) -> dict[str, bytes]:
    """Return path -> content of the regular files in a tar stream. Raises TarRefused.

    `max_bytes` limits all contents together, `max_members` the headers of any kind.
    """
    files = read_tree_files(data, max_bytes=max_bytes, max_members=max_members, links=False)
    return {path: file.content for path, file in files.items()}


def read_tree_files(
    data: bytes | bytearray | memoryview, *, max_bytes: int, max_members: int, links: bool
) -> dict[str, TreeFile]:
    """As `read_tar`, with modes, and with symbolic links if `links`. Where a link leads is not looked at."""
    view = memoryview(data)
    files: dict[str, TreeFile] = {}
    folders: set[str] = set()
    offset, members, left = 0, 0, max_bytes
    pax: dict[str, str] | None = None
    while True:
        header = bytes(_slice(view, offset, _BLOCK))
        offset += _BLOCK
        if header == _ZERO:
            _check_end(view, offset, pax)
            _check_names(files, folders)
            return files
        members += 1
        if members > max_members:
            raise TarRefused("too_many_members", f"the tar stream has more than {max_members} members")
        kind, size = _check_header(header)
        if kind == _PAX:
            pax = _pax_records(bytes(_slice(view, offset, _pax_size(size, pax))))
        else:
            member = _member(header, kind, size, pax or {}, links=links)
            pax = None
            left -= member.size
            if left < 0:
                raise TarRefused(
                    "too_many_bytes", f"the tar stream holds more than {max_bytes} bytes of files"
                )
            content = bytes(_slice(view, offset, size))
            _add(member, content, files, folders)
        offset += -(-size // _BLOCK) * _BLOCK


def _slice(view: memoryview, offset: int, count: int) -> memoryview:
    part = view[offset : offset + count]
    if len(part) < count:
        raise TarRefused("truncated", f"the tar stream ends at byte {len(view)}, in the middle of a member")
    return part


def _check_header(header: bytes) -> tuple[bytes, int]:
    """Check a header and return its type and size."""
    stated = _octal(header[148:156], "checksum")
    if stated != sum(header) - sum(header[148:156]) + 8 * 0x20:
        raise TarRefused("checksum", "a tar header does not match its checksum")
    if header[257:265] != b"ustar\x0000":
        raise TarRefused("format", "the tar stream is not in the ustar format")
    kind = b"0" if header[156:157] == b"\0" else header[156:157]
    return kind, _octal(header[124:136], "size")


def _octal(field: bytes, name: str) -> int:
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise TarRefused("number", f"the field {name!r} of a tar header is not an octal number: {field!r}")
    return int(digits, 8)


def _pax_size(size: int, earlier: dict[str, str] | None) -> int:
    if earlier is not None:
        raise TarRefused("pax", "two pax headers in a row")
    if size > _MAX_PAX_BYTES:
        raise TarRefused("pax", f"a pax header of {size} bytes, {_MAX_PAX_BYTES} are allowed")
    return size


def _pax_records(data: bytes) -> dict[str, str]:
    """Parse records of the form `length key=value\\n`. Each key may occur once."""
    records: dict[str, str] = {}
    while data:
        digits, space, _ = data.partition(b" ")
        if not space or not digits.isdigit() or len(digits) > 5:
            raise TarRefused("pax", "a pax record does not begin with its length")
        length = int(digits)
        record = data[len(digits) + 1 : length]
        if length > len(data) or not record.endswith(b"\n") or b"=" not in record:
            raise TarRefused("pax", "a pax record does not match its length")
        data = data[length:]
        raw_key, _, raw_value = record[:-1].partition(b"=")
        key = raw_key.decode("ascii", "replace")
        if key in records:
            raise TarRefused("pax", f"the pax record {key!r} occurs twice")
        records[key] = _pax_value(key, raw_value)
    return records


def _pax_value(key: str, value: bytes) -> str:
    if key.startswith("GNU.sparse"):
        raise TarRefused("sparse", "the tar stream holds a sparse file")
    if key == "hdrcharset":
        raise TarRefused("encoding", f"a name is not UTF-8 (hdrcharset={value[:20]!r})")
    if key not in _HARMLESS_RECORDS | {"path", "size", "linkpath"}:
        raise TarRefused("pax", f"the pax record {key[:40]!r} is not allowed")
    return _text(value)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise TarRefused("encoding", f"the name {raw[:80]!r} is not UTF-8") from None


def _member(header: bytes, kind: bytes, size: int, pax: dict[str, str], *, links: bool) -> _Member:
    path = pax["path"] if "path" in pax else _text(_name(header))
    if links and kind == _LINK:
        return _link(header, path, size, pax)
    if kind in _REFUSED_TYPES:
        reason, what = _REFUSED_TYPES[kind]
        raise TarRefused(reason, f"{path[:200]!r} is {what}")
    if kind not in {_FILE, _FOLDER}:
        raise TarRefused("type", f"{path[:200]!r} is of the unknown tar type {kind!r}")
    if "linkpath" in pax or header[157:257].strip(b"\0"):
        raise TarRefused("type", f"{path[:200]!r} is not a link but names a target")
    if pax.get("size", str(size)) != str(size):
        raise TarRefused("size_lie", f"{path[:200]!r}: pax says {pax['size'][:30]} bytes, the header {size}")
    if kind == _FOLDER and size:
        raise TarRefused("size_lie", f"the folder {path[:200]!r} has content")
    mode = _octal(header[100:108], "mode")
    if kind == _FILE:
        _check_mode(path, mode)
    executable = kind == _FILE and bool(mode & _OWNER_EXECUTE)
    return _Member(path.removesuffix("/") if kind == _FOLDER else path, size, kind == _FILE, executable)


def _link(header: bytes, path: str, size: int, pax: dict[str, str]) -> _Member:
    target = pax["linkpath"].encode() if "linkpath" in pax else header[157:257].split(b"\0", 1)[0]
    if size or not target or b"\0" in target or len(target) > _MAX_TARGET_BYTES:
        raise TarRefused("link_target", f"{path[:200]!r} is a symbolic link with content or no proper target")
    return _Member(path, size, is_file=True, target=target)


def _check_mode(path: str, mode: int) -> None:
    if mode & _SPECIAL_BITS:
        raise TarRefused("special_bits", f"{path[:200]!r} is setuid, setgid or sticky (mode {mode:o})")
    if not mode & _OWNER_READ:
        raise TarRefused("unreadable", f"{path[:200]!r} cannot be read by its owner (mode {mode:o})")


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0", 1)[0], header[345:500].split(b"\0", 1)[0]
    return prefix + b"/" + name if prefix else name


def _add(member: _Member, content: bytes, files: dict[str, TreeFile], folders: set[str]) -> None:
    try:
        check_path(member.path)
    except UnsafePath as error:
        raise TarRefused("path", str(error)) from None
    if member.path in files or member.path in folders:
        raise TarRefused("duplicate", f"{member.path!r} occurs twice")
    if member.is_file:
        is_link = member.target is not None
        files[member.path] = TreeFile(member.target or content, member.executable, is_link)
    else:
        folders.add(member.path)


def _check_end(view: memoryview, offset: int, pax: dict[str, str] | None) -> None:
    rest = bytes(view[offset:])
    if pax is not None or len(rest) < _BLOCK:
        raise TarRefused("truncated", "the tar stream ends without its end marker")
    if rest.strip(b"\0"):
        raise TarRefused("trailing_data", "there is data after the end of the tar stream")


def _check_names(files: dict[str, TreeFile], folders: set[str]) -> None:
    try:
        # check_tree knows files only: a name below each folder stands for the folder, empty or not.
        check_tree({*files, *(f"{folder}/-" for folder in folders)})
    except UnsafePath as error:
        raise TarRefused("twins", str(error)) from None
