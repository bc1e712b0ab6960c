"""Shows what a workflow changed, and puts it into a repository of the user."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.delivery.branches import make_branch
from artifacts.delivery.differences import ChangedFile, DiffForm, changed_files, difference
from artifacts.delivery.users_repository import UsersRepository, open_users_repository
from artifacts.delivery.working_tree import Applied, apply_to_tree

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from multi_agent.application.delivery.delivered import Delivered

__all__ = ["Applied", "ChangedFile", "DiffForm", "UsersRepository"]


async def show_difference(
    store: GitArtifactStore, delivered: Delivered, form: DiffForm, paths: Sequence[str]
) -> bytes:
    """What Git prints of the change. Raises ArtifactError."""
    return await asyncio.to_thread(
        difference, store.repository, delivered.base, delivered.commit, form, paths
    )


async def list_changes(store: GitArtifactStore, delivered: Delivered) -> list[ChangedFile]:
    """Each file that differs. Raises ArtifactError."""
    return await asyncio.to_thread(changed_files, store.repository, delivered.base, delivered.commit)


async def apply(
    store: GitArtifactStore, delivered: Delivered, folder: Path
) -> tuple[UsersRepository, Applied]:
    """Make the change in the working tree that a folder is in; see `apply_to_tree`."""

    def work() -> tuple[UsersRepository, Applied]:
        user = open_users_repository(folder)
        return user, apply_to_tree(store.repository, delivered.base, delivered.commit, user)

    return await asyncio.to_thread(work)


async def take_branch(
    store: GitArtifactStore, delivered: Delivered, folder: Path, name: str
) -> tuple[UsersRepository, bool]:
    """Make a branch in the repository that a folder is in; see `make_branch`."""

    def work() -> tuple[UsersRepository, bool]:
        user = open_users_repository(folder)
        return user, make_branch(store.repository, delivered.base, delivered.commit, user, name)

    return await asyncio.to_thread(work)
