"""A summary of an existing repository for the planner's prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

MAX_FILES: Final = 400
MAX_TEXTS: Final = 6
MAX_TEXT_CHARACTERS: Final = 6_000

_KEY_FILES: Final = ("readme", "contributing", "pyproject.toml", "setup.cfg", "setup.py", "contract.json")


@dataclass(frozen=True, slots=True)
class RepositorySummary:
    """What a repository contains, in brief."""

    files: tuple[tuple[str, int], ...]
    """(path, size in bytes), sorted by path."""
    texts: tuple[tuple[str, str], ...] = ()
    """(path, beginning of the text) of a few files that explain the rest, such as the README."""
    omitted: int = 0
    """How many files are not listed."""

    @classmethod
    def of(cls, tree: Mapping[str, bytes]) -> Self:
        """Summarise a tree as `CommitStore.read_tree` returns it; the same tree gives the same summary.

        When not all files can be listed, those nearest to the root are.
        """
        nearest = sorted(tree, key=lambda path: (path.count("/"), path))
        keys = [path for path in nearest if "/" not in path and path.lower().startswith(_KEY_FILES)]
        return cls(
            files=tuple((path, len(tree[path])) for path in sorted(nearest[:MAX_FILES])),
            texts=tuple((path, _beginning(tree[path])) for path in keys[:MAX_TEXTS]),
            omitted=max(0, len(tree) - MAX_FILES),
        )


def _beginning(content: bytes) -> str:
    # A UTF-8 character has at most four bytes, so this never cuts into the part that is shown.
    text = content[: 4 * MAX_TEXT_CHARACTERS].decode("utf-8", "replace")
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}\n[cut here]"
