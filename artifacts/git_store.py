"""The artifact store's port on Git: asynchronous, and writing together what comes together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from artifacts import handout
from artifacts.fast_import import Draft
from artifacts.handout import CommitInfo
from artifacts.importing import import_base
from artifacts.remote_store import RemoteRepository
from artifacts.repository import Repository
from contracts.errors import ArtifactError
from contracts.ports import PendingCommit, RefMove

_BATCH_COMMITS = 256
_BATCH_BYTES = 64_000_000

_T = TypeVar("_T")


class GitArtifactStore:
    """contracts.ports.ArtifactStore on a repository, with what the composition root needs beyond it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._writer = _GroupWriter(repository.commit)

    async def write(self, commits: Sequence[PendingCommit]) -> list[str]:
        repository = self._repository
        drafts = await asyncio.to_thread(lambda: [repository.draft(commit) for commit in commits])
        return await self._writer.write(drafts)

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str:
        return await asyncio.to_thread(self._repository.merge, parents, subject, created_at)

    async def read_tree(self, commit: str, *, max_bytes: int = 50_000_000) -> dict[str, bytes]:
        """Also leaves out links, submodules and names that contracts.paths refuses."""
        return await asyncio.to_thread(self._repository.read_tree, commit, max_bytes)

    async def publish(self, moves: Sequence[RefMove]) -> None:
        await asyncio.to_thread(self._repository.publish, moves)

    async def save_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> None:
        await self._writer.write([self._repository.draft_exchange(workflow_id, task_id, key, content)])

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        return await asyncio.to_thread(self._repository.load_exchange, workflow_id, task_id, key)

    async def import_base(self, source_repo: Path, rev: str = "HEAD") -> str:
        """Copy a commit of an existing repository into the store; see artifacts.importing."""
        return await asyncio.to_thread(import_base, self._repository, source_repo, rev)

    async def checkout(self, what: str, target_dir: Path) -> Path:
        """Clone a branch or commit into an empty folder; see artifacts.handout."""
        return await asyncio.to_thread(handout.checkout, self._repository, what, target_dir)

    async def history(self, workflow_id: str) -> list[CommitInfo]:
        """A workflow's accepted outcomes, oldest first."""
        return await asyncio.to_thread(handout.history, self._repository, workflow_id)

    async def accepted(self) -> dict[tuple[str, str], str]:
        """The commit of each accepted outcome's branch, by workflow and task."""
        return await asyncio.to_thread(handout.accepted, self._repository)

    async def lacking(self, commit: str, parts: Sequence[str]) -> list[str]:
        """Commits that `parts` reach and `commit` does not."""
        return await asyncio.to_thread(handout.lacking, self._repository, commit, parts)

    async def verify(self) -> list[str]:
        """Problems that `git fsck --strict` finds, [] when there are none."""
        return await asyncio.to_thread(handout.verify, self._repository)

    async def prune_pending(self, older_than_seconds: float) -> int:
        """Drop pending and merge refs older than that; see Repository.prune_pending."""
        return await asyncio.to_thread(self._repository.prune_pending, older_than_seconds)

    async def close(self) -> None:
        await self._writer.close()
        await asyncio.to_thread(self._repository.close)


def open_store(location: str, cache_dir: Path) -> GitArtifactStore:
    """The store at a path (see create_store) or a URL: file://, git://, http(s)://, ssh://.

    cache_dir: where a store given by URL keeps its local bare repository. Raises InvalidInput, NotConfigured.
    """
    if "://" in location:
        return GitArtifactStore(RemoteRepository(location, cache_dir))
    return GitArtifactStore(Repository(Path(location)))


@dataclass(slots=True)
class _Waiting:
    drafts: Sequence[Draft]
    done: asyncio.Future[list[str]]


class _GroupWriter:
    """Writes what arrives while a write is under way together in the next one."""

    def __init__(self, commit: Callable[[Sequence[Draft]], list[str]]) -> None:
        self._commit = commit
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None

    async def write(self, drafts: Sequence[Draft]) -> list[str]:
        done: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(drafts, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await done

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                await self._write(group)
            except ArtifactError:
                # One of them may have spoiled it for all.
                for one in group:
                    await self._write_alone(one)
            except Exception as error:
                for one in group:
                    _fail(one, error)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        commits = size = 0
        while self._waiting:
            drafts = self._waiting[0].drafts
            commits += len(drafts)
            size += sum(draft.size for draft in drafts)
            if group and (commits > _BATCH_COMMITS or size > _BATCH_BYTES):
                break
            group.append(self._waiting.pop(0))
        return group

    async def _write(self, group: Sequence[_Waiting]) -> None:
        shas = iter(await asyncio.to_thread(self._commit, [draft for one in group for draft in one.drafts]))
        for one in group:
            mine = [next(shas) for _ in one.drafts]
            if not one.done.done():
                one.done.set_result(mine)

    async def _write_alone(self, one: _Waiting) -> None:
        try:
            await self._write([one])
        except Exception as error:
            _fail(one, error)


def _fail(one: _Waiting, error: Exception) -> None:
    if not one.done.done():
        one.done.set_exception(error)
