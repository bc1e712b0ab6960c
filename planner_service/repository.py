"""What the planner is told about an existing repository."""

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
    """Files as (path, bytes) and the beginnings of a few that explain the rest, both in the order of paths.

    `omitted` counts the files that are not listed.
    """

    files: tuple[tuple[str, int], ...]
    texts: tuple[tuple[str, str], ...] = ()
    omitted: int = 0

    @classmethod
    def of(cls, tree: Mapping[str, bytes]) -> Self:
        """Summarise a tree as `CommitStore.read_tree` gives it; the same tree gives the same summary.

        The least deep files come first where not all can be listed.
        """
        nearest = sorted(tree, key=lambda path: (path.count("/"), path))
        keys = [path for path in nearest if "/" not in path and path.lower().startswith(_KEY_FILES)]
        return cls(
            files=tuple((path, len(tree[path])) for path in sorted(nearest[:MAX_FILES])),
            texts=tuple((path, _beginning(tree[path])) for path in keys[:MAX_TEXTS]),
            omitted=max(0, len(tree) - MAX_FILES),
        )


def _beginning(content: bytes) -> str:
    # Four bytes is the longest UTF-8 character, so this never cuts into the part that is shown.
    text = content[: 4 * MAX_TEXT_CHARACTERS].decode("utf-8", "replace")
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}\n[cut here]"
