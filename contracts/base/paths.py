"""Which relative paths may be written: one rule for plans, model answers, tar streams and Git trees."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from contracts.base.errors import UnsafePath
from contracts.base.text import first_invisible, visible_line

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 200
MAX_NAMES = 100

EVERYWHERE = "./"
"""The output pattern of a task that may write every file."""

_UNREADABLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
_WINDOWS_DEVICE = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$", re.IGNORECASE)
# What needs a closer look; a path without it is accepted at once, for trees have many.
_SUSPICIOUS = re.compile(
    r"[^A-Za-z0-9_./-]|(?:^|/)(?:/|$|\.{1,2}(?:/|$)|\.git|(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|/|$))"
    rf"|\.(?:/|$)|[^/]{{{MAX_NAME_BYTES + 1}}}",
    re.IGNORECASE | re.ASCII,
)
_GIT_SHORT_NAME = re.compile(r"^(git|gitmod|gi[0-9a-f]{4})~[0-9]+$", re.IGNORECASE)


def check_path(path: str) -> str:
    """Return `path` when a tree may hold it.

    Relative, `/`-separated, at most MAX_NAMES names, UTF-8, NFC, no `.`/`..`/empty parts, no control or
    invisible characters, nothing that a file system could treat as `.git`. Raises UnsafePath naming the path
    and the rule.
    """
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsafePath(f"path {path!r}: not valid Unicode") from None
    if not path or len(encoded) > MAX_PATH_BYTES:
        raise UnsafePath(f"path {path[:80]!r}: must have 1 to {MAX_PATH_BYTES} bytes, has {len(encoded)}")
    if path.count("/") >= MAX_NAMES:
        raise UnsafePath(f"path {path[:80]!r}: must have at most {MAX_NAMES} names, the file's among them")
    if _SUSPICIOUS.search(path) is None:
        return path
    if any(unicodedata.category(char) in _UNREADABLE for char in path):
        raise UnsafePath(f"path {path!r}: control or invisible characters are not allowed")
    if unicodedata.normalize("NFC", path) != path:
        raise UnsafePath(f"path {path!r}: must be in Unicode form NFC")
    if "\\" in path or ":" in path:
        raise UnsafePath(f"path {path!r}: backslashes and colons are not allowed; separate folders with '/'")
    if path.startswith(("/", "~")):
        raise UnsafePath(f"path {path!r}: must be relative to the repository's root")
    for part in path.split("/"):
        _check_name(path, part)
    return path


def check_new_path(path: str) -> str:
    """Return `path` when a new file may be called so: as `check_path`, and every character can be seen.

    A repository may have an emoji with a variation selector in a name, and keeps it; who names a new file
    could otherwise give two files names that look the same. Raises UnsafePath naming the path and the rule.
    """
    check_path(path)
    if hidden := first_invisible(path):
        raise UnsafePath(f"path '{visible_line(path)}': {hidden} cannot be seen; leave it out of a new name")
    return path


def _check_name(path: str, name: str) -> None:
    if name in {"", ".", ".."}:
        raise UnsafePath(f"path {path!r}: empty, '.' and '..' parts are not allowed")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise UnsafePath(f"path {path[:80]!r}: each name may have at most {MAX_NAME_BYTES} bytes")
    if name.endswith((".", " ")) or _WINDOWS_DEVICE.match(name):
        raise UnsafePath(f"path {path!r}: the name {name!r} does not exist on every system")
    folded = name.casefold()
    if folded in {".git", ".gitmodules"} or _GIT_SHORT_NAME.match(folded):
        raise UnsafePath(f"path {path!r}: {name!r} would be read by Git itself")
    if "%2e" in folded or "%2f" in folded:
        raise UnsafePath(f"path {path!r}: percent-encoded dots and slashes are not allowed")


def check_tree(paths: Iterable[str]) -> None:
    """Check every path, that no two differ only by case, and that none is both file and folder.

    Raises UnsafePath.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        check_path(path)
        folded = path.casefold()
        if folded in seen:
            raise UnsafePath(
                f"paths {seen[folded]!r} and {path!r}: the same name twice (upper and lower case are one)"
            )
        seen[folded] = path
        folder = path.rpartition("/")[0]
        while folder and (known := folders.setdefault(folder.casefold(), folder)) is folder:
            folder = folder.rpartition("/")[0]  # what is above a known folder is known
        if folder and known != folder:
            raise UnsafePath(f"folders {known!r} and {folder!r} differ only by upper and lower case")
    for folded, folder in folders.items():
        if folded in seen:
            raise UnsafePath(f"path {folder!r}: is both a file and a folder")


NOWHERE = "/dev/null"
"""The side of a unified diff that a file does not have."""


def diff_path(header: str) -> str:
    """The path in a line `--- a/x` or `+++ b/x` of a unified diff, as it is written there."""
    name = header[4:].split("\t", maxsplit=1)[0].strip()
    return name[2:] if name.startswith(("a/", "b/")) else name


def covers(pattern: str, path: str) -> bool:
    """Whether an output pattern (a file's path, or a folder's ending in '/', or EVERYWHERE) covers `path`."""
    if pattern.endswith("/"):
        return pattern == EVERYWHERE or path.startswith(pattern)
    return path == pattern
