"""A tree with changes over it, of which no content is read before it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from contracts.ports.tree_files import TreeFiles

Changes = Mapping[str, bytes | None]
"""path -> new content; None deletes a file, and in a sandbox whatever else has this path."""


class ChangedTree(Mapping[str, bytes]):
    """path -> content of `base` with `changes`; what has the changes of another lies over that one's base."""

    def __init__(self, base: Mapping[str, bytes], changes: Changes) -> None:
        below = base if isinstance(base, ChangedTree) else None
        self.base: Mapping[str, bytes] = below.base if below else base
        self.changes: Changes = {**below.changes, **changes} if below else changes
        self._deleted = frozenset(path for path, content in self.changes.items() if content is None)

    def __getitem__(self, path: str) -> bytes:
        if path not in self.changes:
            return self.base[path]
        content = self.changes[path]
        if content is None:
            raise KeyError(path)
        return content

    def __contains__(self, path: object) -> bool:
        return path not in self._deleted and (path in self.changes or path in self.base)

    def __iter__(self) -> Iterator[str]:
        yield from (path for path in self.base if path in self)
        yield from (path for path in self.changes if path in self and path not in self.base)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def over_commit(tree: Mapping[str, bytes]) -> tuple[TreeFiles, Changes] | None:
    """Return the files of a commit and the changes that make up a tree; None when it lies over no commit."""
    base, changes = (tree.base, tree.changes) if isinstance(tree, ChangedTree) else (tree, {})
    return (base, changes) if isinstance(base, TreeFiles) else None


def read_at_most(tree: Mapping[str, bytes], path: str, most: int) -> bytes | None:
    """Return a content of a tree; None for one of more than `most` bytes."""
    found = over_commit(tree)
    if found is not None and path not in found[1]:
        return found[0].read(path, most)
    content = tree[path]
    return content if len(content) <= most else None


def is_changed(path: str, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> bool:
    """Whether two trees differ in a path, which only one of them may have. Reads no more than it must."""
    if path not in old or path not in new:
        return path in old or path in new
    names = [_content_name(path, tree) for tree in (old, new)]
    return names[0] != names[1] if all(names) else old[path] != new[path]


def is_same(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> bool:
    """Whether two trees have the same files with the same contents. Reads no more than it must."""
    paths = set(one)
    return paths == set(other) and not any(is_changed(path, one, other) for path in paths)


def _content_name(path: str, tree: Mapping[str, bytes]) -> str | None:
    found = over_commit(tree)
    return None if found is None or path in found[1] else found[0].content_names[path]
