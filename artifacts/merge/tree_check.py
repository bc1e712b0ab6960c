"""Checks that changes fit a tree: no two paths that differ only by case, nothing both file and folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from artifacts.git.objects import ObjectReader, TreeEntry
from contracts.base.errors import UnsafePath

Overlay = Mapping[bytes, TreeEntry | None]
"""Path -> its new entry; None for a file that is deleted."""

_Node = dict[bytes, Any]


def check_fit(reader: ObjectReader, tree: str | None, overlay: Overlay) -> None:
    """Raise UnsafePath naming both paths when `overlay` does not fit `tree` (None: empty)."""
    drops = _nested(path for path, entry in overlay.items() if entry is None)
    puts = _nested(path for path, entry in overlay.items() if entry is not None)
    _check(reader, tree, drops, puts, b"")


def _nested(paths: Iterable[bytes]) -> _Node:
    """Turn paths into nested folders; a file is None."""
    root: _Node = {}
    for path in paths:
        *folders, name = path.split(b"/")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
            if node is None:
                raise UnsafePath(f"path {_text(path)!r}: one of its folders is also a file")
        if name in node:
            raise UnsafePath(f"path {_text(path)!r}: is both a file and a folder")
        node[name] = None
    return root


def _check(reader: ObjectReader, tree: str | None, drops: _Node, puts: _Node, prefix: bytes) -> None:
    alive = _remaining(reader, tree, drops)
    spelled = {_folded(name): name for name in alive}
    for name, below in puts.items():
        path = prefix + name
        other = name if name in alive else spelled.setdefault(_folded(name), name)
        if other != name:
            raise UnsafePath(
                f"path {_text(path)!r}: {_text(prefix + other)!r} differs only by upper and lower case"
            )
        there = alive.get(name)
        if there is not None and there.is_tree != (below is not None):
            raise UnsafePath(f"path {_text(path)!r}: is both a file and a folder")
        if below is not None:
            _check(reader, there.oid if there else None, drops.get(name) or {}, below, path + b"/")


def _remaining(reader: ObjectReader, tree: str | None, drops: _Node) -> dict[bytes, TreeEntry]:
    alive = dict(reader.tree(tree)) if tree else {}
    for name, below in drops.items():
        entry = alive.get(name)
        if entry is not None and entry.is_tree and below is not None:
            gone = not _remaining(reader, entry.oid, below)
        else:
            gone = entry is not None and not entry.is_tree and below is None
        if gone:
            del alive[name]
    return alive


def _folded(name: bytes) -> str:
    return _text(name).casefold()


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
