"""A summary of an existing repository for the planner's prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from contracts.documents.repository_settings import RepositorySettings
from contracts.ports.code_index import RepositoryMap

MAX_FILES: Final = 400
MAX_TEXTS: Final = 6
MAX_TEXT_CHARACTERS: Final = 6_000

_KEY_FILES: Final = (
    "agents.md",
    "claude.md",
    "gemini.md",
    "readme",
    "contributing",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "contract.json",
)


@dataclass(frozen=True, slots=True)
class RepositorySummary:
    """What a repository contains, in brief."""

    files: tuple[tuple[str, int], ...]
    """(path, size in bytes), sorted by path."""
    texts: tuple[tuple[str, str], ...] = ()
    """(path, beginning of the text) of a few files that explain the rest, such as the README."""
    omitted: int = 0
    """How many files are not listed."""
    map: str = ""
    """The files that the request is about with what they define; "" where nobody made a map."""
    settings: tuple[str, ...] = ()
    """What the repository says about work in it, each setting in words."""
    tests: tuple[str, ...] = ()
    """How its own tests ended before any work, in words; () as long as that is not known."""

    @classmethod
    def of(
        cls,
        tree: Mapping[str, bytes],
        seen: RepositoryMap | None = None,
        settings: RepositorySettings | None = None,
        sizes: Mapping[str, int] | None = None,
        tests: str = "",
    ) -> Self:
        """Summarise a tree; the same tree gives the same summary.

        sizes: path -> bytes, where they are known without a look at the contents. tests: see the field, in
        lines.

        When not all files can be listed, those are that the map puts first, without one those nearest to
        the root.
        """
        nearest = sorted(tree, key=lambda path: (path.count("/"), path))
        first = nearest if seen is None else [path for path in seen.paths if path in tree]
        keys = [path for path in nearest if "/" not in path and path.lower().startswith(_KEY_FILES)]
        return cls(
            files=tuple((path, _size(path, tree, sizes)) for path in sorted(first[:MAX_FILES])),
            texts=tuple((path, _beginning(tree[path])) for path in keys[:MAX_TEXTS]),
            omitted=max(0, len(tree) - MAX_FILES),
            map="" if seen is None else seen.text,
            settings=() if settings is None else settings.lines,
            tests=tuple(tests.splitlines()),
        )


def _size(path: str, tree: Mapping[str, bytes], sizes: Mapping[str, int] | None) -> int:
    return len(tree[path]) if sizes is None else sizes[path]


def _beginning(content: bytes) -> str:
    # A UTF-8 character has at most four bytes, so this never cuts into the part that is shown.
    text = content[: 4 * MAX_TEXT_CHARACTERS].decode("utf-8", "replace")
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}\n[cut here]"
