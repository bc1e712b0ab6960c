"""Hostile tar streams without end: `python -m tests.sandbox.fuzz --streams 100000 --seed 1`.

Each must be refused by TarRefused or read as a dict of safe paths, within time and memory, and nothing may be
opened for it. The same seed and number give the same stream: `--seed 1 --only 4711` repeats one.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import resource
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.base.errors import UnsafePath
from contracts.base.paths import check_tree
from sandbox_runner.engine.tar_reader import TarRefused, read_tar

MAX_BYTES = 2_000_000
MAX_MEMBERS = 200
STREAM_SECONDS = 2.0
MEMORY_BYTES = 64 * 1024 * 1024

_BLOCK = 512
_KINDS = (b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"L", b"K", b"S", b"x", b"g", b"V", b"\0", b"\xff")
_NAMES = (
    "a",
    "d/b",
    "../x",
    "/etc/passwd",
    ".git/config",
    "a\nb",
    "A",
    "ü",
    "u\u0308",
    "x" * 99,
    "d",
    "d/",
    "",
)
# (offset, length) of the fields of a ustar header
_FIELDS = (
    (0, 100),
    (100, 8),
    (108, 8),
    (124, 12),
    (136, 12),
    (148, 8),
    (156, 1),
    (157, 100),
    (257, 8),
    (345, 155),
)
_NUMBERS = (b"77777777777", b"\x80" + b"\xff" * 10, b"-1", b"", b"00000000000", b"9", b"0x10", b"1e9")
_PAX_KEYS = (
    b"size",
    b"path",
    b"linkpath",
    b"GNU.sparse.major",
    b"GNU.sparse.realsize",
    b"hdrcharset",
    b"mtime",
)
_PAX_VALUES = (b"1", b"-1", b"9" * 400, b"../x", b"", b"\xff", b"1099511627776", b"BINARY", b"a=b", b"\0")
# Events of the interpreter (PEP 578) that touch a file system, start something or connect to something.
_TOUCHING = ("open", "os.", "shutil.", "subprocess.", "socket.", "tempfile.")


@dataclass(slots=True)
class Findings:
    """How the streams ended: a count for each reason, `read` for those that were taken; what went wrong."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0


class _Watch:
    """Notes what is touched while it is on. An audit hook can never be taken off again, so there is one."""

    def __init__(self) -> None:
        self.on = False
        self.touched: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.on and event.startswith(_TOUCHING):
            self.touched.append(f"{event} {arguments!r}"[:200])


_watch: list[_Watch] = []


def fuzz(streams: range, seed: int) -> Findings:
    """Make and read the streams of these numbers."""
    if not _watch:
        _watch.append(_Watch())
    watch, found = _watch[0], Findings()
    _sound(random.Random(seed))
    before = _peak()
    for number in streams:
        stream = make_stream(seed, number)
        watch.touched.clear()
        started = time.process_time()
        watch.on = True
        try:
            end = _read(stream)
        finally:
            watch.on = False
        took = time.process_time() - started
        found.slowest = max(found.slowest, took)
        found.ends[end.partition(":")[0]] += 1
        if end.startswith("WRONG") or took > STREAM_SECONDS or watch.touched:
            found.wrong.append(
                f"stream {number} of seed {seed}: {end}, {took:.2f} s, touched {watch.touched}"
            )
    found.memory = _peak() - before
    if found.memory > MEMORY_BYTES:
        found.wrong.append(f"the streams took {found.memory} bytes of memory more than before")
    return found


def _read(stream: bytes) -> str:
    try:
        files = read_tar(stream, max_bytes=MAX_BYTES, max_members=MAX_MEMBERS)
    except TarRefused as refused:
        return refused.reason
    except Exception as error:
        return f"WRONG: {type(error).__name__}: {error}"
    if sum(map(len, files.values())) > MAX_BYTES or len(files) > MAX_MEMBERS:
        return "WRONG: more than is allowed was read"
    try:
        check_tree(files)
    except UnsafePath as error:
        return f"WRONG: {error}"
    return "read"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_stream(seed: int, number: int) -> bytes:
    """The stream of this number."""
    chance = random.Random(f"{seed}/{number}")
    return chance.choice(_MAKERS)(chance)


def _sound(chance: random.Random) -> bytes:
    """A stream as an honest writer makes it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for index in range(chance.randrange(6)):
            info = tarfile.TarInfo(f"folder-{index % 2}/{'ü' * chance.randrange(90)}file-{index}")
            info.size = chance.choice((0, 1, 511, 512, 513, 3_000))
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return stream.getvalue()


def _strange(chance: random.Random) -> bytes:
    """Members of every kind and name, duplicates and links among them, with sound headers."""
    return b"".join(_member(chance) for _ in range(chance.randrange(1, 8))) + bytes(1024)


def _member(chance: random.Random) -> bytes:
    kind = chance.choice(_KINDS)
    content = chance.randbytes(chance.choice((0, 1, 512, 700))) if kind in {b"0", b"x", b"S"} else b""
    return _header(chance, kind, content) + content + bytes(-len(content) % _BLOCK)


def _header(chance: random.Random, kind: bytes, content: bytes, name: str | None = None) -> bytes:
    head = bytearray(_BLOCK)
    raw = (chance.choice(_NAMES) if name is None else name).encode()[:100]
    head[: len(raw)] = raw
    head[100:108] = b"%07o\0" % chance.choice((*[0o644] * 30, 0o4755, 0, 0o1777))
    head[124:136] = b"%011o\0" % len(content)
    head[156:157] = kind
    target = b"/etc/shadow" if kind in {b"1", b"2"} else b""
    head[157 : 157 + len(target)] = target
    head[257:265] = chance.choice((*[b"ustar\x0000"] * 40, b"ustar  \0"))
    return _mended(head)


def _clashing(chance: random.Random) -> bytes:
    """Plain files and folders whose names are the same, or nearly."""
    names = [chance.choice(("a", "A", "a/b", "d/x", "D/y", "d")) for _ in range(chance.randrange(2, 5))]
    return b"".join(_header(chance, chance.choice((b"0", b"5")), b"", name) for name in names) + bytes(1024)


def _many(chance: random.Random) -> bytes:
    """Members around the limit, or many times it, or one header again and again."""
    if chance.random() < 0.9:
        return _clashing(chance)
    head = _header(chance, b"0", b"", "0000")
    names = range(1000, 1000 + chance.choice((199, 200, 201, 4_000)))
    heads = (_mended(bytearray(head).replace(b"0000", b"%d" % name, 1)) for name in names)
    return (head * 4_000 if chance.random() < 0.2 else b"".join(heads)) + bytes(1024)


def _mended(head: bytearray) -> bytes:
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def _lying(chance: random.Random) -> bytes:
    """A sound stream with fields of a header replaced; the checksum mostly fits."""
    data = bytearray(_sound(chance) if chance.random() < 0.5 else _strange(chance))
    at = chance.randrange(max(len(data) // _BLOCK, 1)) * _BLOCK
    for _ in range(chance.randrange(1, 4)):
        start, length = chance.choice(_FIELDS)
        value = chance.choice((chance.choice(_NUMBERS), chance.randbytes(length)))[:length]
        data[at + start : at + start + len(value)] = value
    if chance.random() < 0.8:
        data[at : at + _BLOCK] = _mended(bytearray(data[at : at + _BLOCK].ljust(_BLOCK, b"\0")))
    return bytes(data)


def _damaged(chance: random.Random) -> bytes:
    """A sound stream with bytes changed anywhere, cut, or with something behind its end."""
    data = bytearray(_sound(chance))
    for _ in range(chance.randrange(5)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    cut = chance.randrange(len(data) + 1) if chance.random() < 0.5 else len(data)
    return bytes(data[:cut]) + chance.choice((b"", b"\0" * 512, b"x" * 512, bytes(data)))


def _pax(chance: random.Random) -> bytes:
    """A file behind pax records that lie: about sizes, lengths, names, sparse files."""
    records = b"".join(_record(chance) for _ in range(chance.randrange(1, 5)))
    data = b"x" * chance.choice((0, 5, 600))
    head = _header(chance, b"x", records, "pax") + records + bytes(-len(records) % _BLOCK)
    return head + _header(chance, b"0", data, "a") + data + bytes(-len(data) % _BLOCK) + bytes(1024)


def _record(chance: random.Random) -> bytes:
    rest = b" " + chance.choice(_PAX_KEYS) + b"=" + chance.choice(_PAX_VALUES) + b"\n"
    length = len(rest) + len(str(len(rest) + 2))
    return b"%d" % (length + chance.choice((0, 0, 0, 0, 1, -1, 9_999, -length))) + rest


def _compressed(chance: random.Random) -> bytes:
    """A gzip stream, which is no tar stream whatever it holds; a bomb now and then."""
    return gzip.compress(bytes(4_000_000) if chance.random() < 0.02 else _sound(chance), mtime=0)


def _garbage(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 511, 512, 513, 1024, 5_000)))


def _large(chance: random.Random) -> bytes:
    """Contents around the limit, or a size that nothing follows."""
    if chance.random() < 0.95:
        size = chance.choice((MAX_BYTES, MAX_BYTES + 1, 1 << 33, (1 << 33) - 1))
        head = bytearray(_header(chance, b"0", b"", "big"))
        head[124:136] = b"%011o\0" % min(size, 0o77777777777)
        return _mended(head) + bytes(2048)
    data = bytes(MAX_BYTES + chance.choice((-1, 0, 1)))
    return _header(chance, b"0", data, "big") + data + bytes(-len(data) % _BLOCK) + bytes(1024)


_MAKERS: tuple[Callable[[random.Random], bytes], ...] = (
    _sound,
    _strange,
    _lying,
    _lying,
    _damaged,
    _damaged,
    _pax,
    _pax,
    _many,
    _compressed,
    _garbage,
    _large,
)


def main() -> int:
    """Run it and print how many streams ended how."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.fuzz", description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", type=int, help="number of one stream to repeat")
    options = parser.parse_args()
    numbers = range(options.streams) if options.only is None else range(options.only, options.only + 1)
    found = fuzz(numbers, options.seed)
    for end, count in found.ends.most_common():
        print(f"{count:9} {end}")
    print(f"seed {options.seed}, slowest {found.slowest:.3f} s, memory +{found.memory / 1024 / 1024:.1f} MB")
    for wrong in found.wrong[:20]:
        print(wrong)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
