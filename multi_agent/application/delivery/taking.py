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
from multi_agent.application.audit.effects import recorded
from multi_agent.application.delivery.permitted import permitted

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from artifacts import GitArtifactStore
    from multi_agent.application.delivery.delivered import Delivered
    from orchestrator.client.audit_log import AuditLog
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.core.audit.entries import Fact

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
    client: WorkflowClient, store: GitArtifactStore, delivered: Delivered, folder: Path
) -> tuple[UsersRepository, Applied]:
    """Make the change in the working tree that a folder is in; see `apply_to_tree`, `permitted`."""
    user = await asyncio.to_thread(open_users_repository, folder)
    commits = (delivered.base, delivered.commit)
    target = {"repository": str(user.top or user.git_dir), "head": await asyncio.to_thread(user.head)}
    async with (
        permitted(client.releases, store, delivered, "apply", target),
        _recorded(client.audit, store, delivered, user, "apply") as done,
    ):
        applied = await asyncio.to_thread(apply_to_tree, store.repository, *commits, user)
        done |= {"written": len(applied.written), "deleted": len(applied.deleted)}
    return user, applied


async def take_branch(
    client: WorkflowClient, store: GitArtifactStore, delivered: Delivered, folder: Path, name: str
) -> tuple[UsersRepository, bool]:
    """Make a branch in the repository that a folder is in; see `make_branch`, `permitted`."""
    user = await asyncio.to_thread(open_users_repository, folder)
    commits = (delivered.base, delivered.commit)
    tip = await asyncio.to_thread(user.find, f"refs/heads/{name}")
    target = {"repository": str(user.top or user.git_dir), "branch": name, "tip": tip}
    async with (
        permitted(client.releases, store, delivered, "apply", target),
        _recorded(client.audit, store, delivered, user, "branch", branch=name) as done,
    ):
        done["made"] = made = await asyncio.to_thread(make_branch, store.repository, *commits, user, name)
    return user, made


def _recorded(
    log: AuditLog,
    store: GitArtifactStore,
    delivered: Delivered,
    user: UsersRepository,
    effect: str,
    **more: Fact,
) -> AbstractAsyncContextManager[dict[str, Fact]]:
    repository = str(user.top or user.git_dir)
    facts = {"commit": delivered.commit, "base": delivered.base, "repository": repository, **more}
    return recorded(log, effect, facts, workflow_id=delivered.workflow_id, anchors=store)
