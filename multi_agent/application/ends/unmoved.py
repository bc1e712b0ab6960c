"""Whether a branch of the store is where it was accepted: what is handed out is that commit or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.base.errors import ArtifactError

if TYPE_CHECKING:
    from artifacts import GitArtifactStore


async def check_unmoved(store: GitArtifactStore, branch: str, commit: str) -> None:
    """Raise ArtifactError when somebody moved or removed a branch that was accepted at this commit."""
    try:
        there = await store.branch_tip(branch)
    except ArtifactError:
        there = "nothing"
    if there != commit:
        raise ArtifactError(
            f"branch {branch} is at {there[:12]}, accepted was {commit[:12]}: somebody else changed it, so "
            f"nothing is handed out. To put it back: git update-ref refs/heads/{branch} {commit}, in the "
            "artifact store"
        )
