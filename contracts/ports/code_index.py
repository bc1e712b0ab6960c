"""The index of a repository's code: which files a request is about, and what they define."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

MAP_TOKENS: Final = 4_000
"""How long a map is where nobody says it; a token is taken to be four characters."""

STEPS_MAP_TOKENS: Final = 1_200
"""How long one is for who can search, and is sent it again with each step."""


@dataclass(frozen=True, slots=True)
class RepositoryMap:
    """The files of a tree, seen from a request."""

    paths: tuple[str, ...]
    """All of them, the likeliest first."""
    text: str
    """The first of them with what they define, for a person or a model."""
    note: str = ""
    """What could not be read, and how it could; "" where everything was."""


class CodeIndex(Protocol):
    """Maps of trees. Equal trees and requests give equal maps where the same grammars are installed."""

    async def map(self, commit: str, request: str, *, tokens: int = MAP_TOKENS) -> RepositoryMap:
        """Map the tree of a commit for a request; "" shows what the rest refers to most.

        Raises ArtifactError for a commit that is missing, StoreUnavailable, and Unavailable when no process
        can be started.
        """
