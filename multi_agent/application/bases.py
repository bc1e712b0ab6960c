"""Starting from a repository that a user has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artifacts import GitArtifactStore

_NAMED = 5


async def take_base(artifacts: GitArtifactStore, repository: Path, say: Callable[[str], None]) -> str:
    """Copy the repository's HEAD into the store and return its commit; say what agents will not see of it.

    Raises as GitArtifactStore.import_base.
    """
    base = await artifacts.import_base(repository)
    if left_out := await artifacts.left_out(base):
        say(_sentence(left_out))
    return base


def _sentence(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
    files = "1 file has a name" if len(names) == 1 else f"{len(names)} files have names"
    return f"{files} that agents cannot be given; they neither see nor change it: {shown}"
