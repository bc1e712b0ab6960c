"""The ports of the artifact store on Git: asynchronous, with concurrent writes in one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from artifacts.git.fast_import import Draft
from artifacts.git.in_thread import in_thread
from artifacts.store import inspection
from artifacts.store.batching import Batcher
from artifacts.store.changes import changes_between
from artifacts.store.checkout import branch_tip, checkout
from artifacts.store.history import CommitInfo, history
from artifacts.store.importing import import_base
from artifacts.store.listing import Trees
from artifacts.store.records import read_records
from artifacts.store.remote_store import RemoteRepository
from artifacts.store.repository import Repository
from artifacts.store.survey import TreeSurvey, survey_tree
from artifacts.store.tree_files import open_tree
from contracts.ports.artifacts import PendingCommit, RefMove
from contracts.ports.tree_files import TreeFiles
from contracts.ports.trees import TreeChanges

TREE_BYTES: Final = 50_000_000


class GitArtifactStore:
    """CommitStore, ExchangeStore, AnchorStore of contracts.ports on a repository, with what bootstrap needs.

    idle_seconds: time without writes after which the writing processes are ended.
    tree_bytes: the largest tree that is read.
    """

    def __init__(
        self, repository: Repository, *, idle_seconds: float = 5.0, tree_bytes: int = TREE_BYTES
    ) -> None:
        self._repository = repository
        self._tree_bytes = tree_bytes
        self._idle_seconds = idle_seconds
        self._writer = Batcher(repository.commit, lambda draft: draft.size)
        self._publisher = Batcher(self._published)
        self._rest: asyncio.TimerHandle | None = None

    async def write(self, commits: Sequence[PendingCommit]) -> list[str]:
        repository = self._repository
        drafts = await in_thread(lambda: [repository.draft(commit) for commit in commits])
        return await self._written(drafts)

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str:
        tips = list(dict.fromkeys(parents))
        while True:
            parts = await in_thread(self._repository.draft_merges, tips, subject, created_at)
            written = iter(await self._written([part for part in parts if isinstance(part, Draft)]))
            tips = [next(written) if isinstance(part, Draft) else part for part in parts]
            if len(tips) == 1:
                return tips[0]

    async def open_tree(self, commit: str) -> TreeFiles:
        return await in_thread(open_tree, self._repository, commit)

    async def changes(self, old: str, new: str, *, max_bytes: int) -> TreeChanges:
        return await in_thread(changes_between, self._repository, old, new, max_bytes)

    async def read_tree(self, commit: str, *, max_bytes: int | None = None) -> dict[str, bytes]:
        """See CommitStore. Leaves out links, submodules and names that contracts.base.paths refuses."""
        limit = self._tree_bytes if max_bytes is None else max_bytes
        return await in_thread(self._repository.read_tree, commit, limit)

    async def read_records(
        self, workflow_id: str, commit: str, *, max_bytes: int = 50_000_000
    ) -> dict[str, bytes]:
        """See CommitStore."""
        return await in_thread(read_records, self._repository, workflow_id, commit, max_bytes)

    async def survey(self, commit: str) -> TreeSurvey:
        """How large a tree is, and what of it agents are not given; see artifacts.store.survey."""
        return await in_thread(survey_tree, self._repository, commit)

    @property
    def repository(self) -> Repository:
        """What is behind it, for those who work with trees; not to be closed."""
        return self._repository

    async def tree_of(self, commit: str) -> str:
        """The name of a commit's tree. Raises ArtifactError for one that is missing."""
        return await in_thread(lambda: self._repository.objects.commit(commit).tree)

    def trees(self) -> Trees:
        """Files of commits, listed and read one by one; not to be closed before the store."""
        repository = self._repository
        return Trees(repository.git_dir, repository.objects, lambda commit: repository.ensure([commit]))

    async def publish(self, moves: Sequence[RefMove]) -> None:
        try:
            await self._publisher.do(moves)
        finally:
            self._rest_later()

    async def save_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> None:
        await self._written([self._repository.draft_exchange(workflow_id, task_id, key, content)])

    async def create_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> bool:
        draft = self._repository.draft_exchange(workflow_id, task_id, key, content)
        try:
            await in_thread(self._repository.create, draft)
        finally:
            self._rest_later()
        return await self.load_exchange(workflow_id, task_id, key) == content

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        return await in_thread(self._repository.load_exchange, workflow_id, task_id, key)

    async def add_anchor(self, text: str, created_at: int) -> str:
        """See AnchorStore."""
        try:
            return await in_thread(self._repository.add_anchor, text, created_at)
        finally:
            self._rest_later()

    async def anchors(self, most: int | None = None) -> list[tuple[str, str]]:
        """See AnchorStore."""
        return await in_thread(self._repository.anchors, most)

    async def exchanges(self, workflow_id: str) -> list[tuple[str, str, bytes]]:
        """(task id, digest of the key, content) of all that was kept of a workflow; for traces."""
        return await in_thread(self._repository.list_exchanges, workflow_id)

    async def import_base(self, source_repo: Path, rev: str = "HEAD") -> str:
        """Copy a commit of an existing repository into the store; see artifacts.store.importing."""
        return await in_thread(import_base, self._repository, source_repo, rev)

    async def checkout(self, what: str, target_dir: Path) -> Path:
        """Clone a branch or commit into an empty folder; see artifacts.store.checkout."""
        return await in_thread(checkout, self._repository, what, target_dir)

    async def branch_tip(self, branch: str) -> str:
        """The commit that a branch of the store is at now. Raises ArtifactError when there is none."""
        return await in_thread(branch_tip, self._repository, branch)

    async def history(self, workflow_id: str) -> list[CommitInfo]:
        """The accepted outcomes of a workflow, oldest first."""
        return await in_thread(history, self._repository, workflow_id)

    async def accepted(self) -> dict[tuple[str, str], str]:
        """The commit of each accepted outcome's branch, by workflow and task."""
        return await in_thread(inspection.accepted, self._repository)

    async def misplaced(self) -> dict[tuple[str, str], str]:
        """What is wrong with the metadata refs of accepted outcomes, by workflow and task."""
        return await in_thread(inspection.misplaced, self._repository)

    async def lacking(self, commit: str, parts: Sequence[str]) -> list[str]:
        """Commits that `parts` reach and `commit` does not."""
        return await in_thread(inspection.lacking, self._repository, commit, parts)

    async def verify(self) -> list[str]:
        """Problems that `git fsck --strict` finds, [] when there are none."""
        return await in_thread(inspection.verify, self._repository)

    async def prune_pending(self, older_than_seconds: float) -> int:
        """Delete older pending and merge refs; see Repository.prune_pending."""
        return await in_thread(self._repository.prune_pending, older_than_seconds)

    async def close(self) -> None:
        await self._writer.close()
        await self._publisher.close()
        if self._rest is not None:
            self._rest.cancel()
        await in_thread(self._repository.close)

    async def _written(self, drafts: Sequence[Draft]) -> list[str]:
        try:
            return await self._writer.do(drafts)
        finally:
            self._rest_later()

    def _published(self, moves: Sequence[RefMove]) -> list[None]:
        self._repository.publish(moves)
        return [None] * len(moves)

    def _rest_later(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        loop = asyncio.get_running_loop()
        self._rest = loop.call_later(self._idle_seconds, loop.run_in_executor, None, self._repository.rest)


def open_store(location: str, cache_dir: Path, *, tree_bytes: int = TREE_BYTES) -> GitArtifactStore:
    """Open the store at a path (see create_store) or a URL: file://, git://, http(s)://, ssh://.

    cache_dir: where a store given by URL keeps its local bare repository.
    tree_bytes: the largest tree that is read.

    Raises InvalidInput, NotConfigured.
    """
    if "://" in location:
        return GitArtifactStore(RemoteRepository(location, cache_dir), tree_bytes=tree_bytes)
    return GitArtifactStore(Repository(Path(location)), tree_bytes=tree_bytes)
