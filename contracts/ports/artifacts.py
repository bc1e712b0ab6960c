"""The artifact store: every task's outcome as a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from contracts.documents.reports import ArtifactMetadata


@dataclass(frozen=True, slots=True)
class PendingCommit:
    """A task's outcome on its way into the store.

    parents: the commits it starts from; more than one are merged first. `files` maps a path to its new
    content, None deletes it. `execution_id` and `attempt` name the pending ref. `created_at` (seconds since
    1970, UTC, the dispatch's creation time) is the commit time, so the same work gives the same commit.
    """

    workflow_id: str
    task_id: str
    attempt: int
    execution_id: str
    parents: tuple[str, ...]
    files: Mapping[str, bytes | None]
    metadata: ArtifactMetadata
    subject: str
    created_at: int


class RefMove(NamedTuple):
    """Publish `commit` as the accepted outcome of a task; `task_id` "result" is the merged outcome."""

    workflow_id: str
    task_id: str
    commit: str


class ArtifactStore(Protocol):
    """The Git store. Commit names are 40 hex digits. Raises ArtifactError; StoreUnavailable for a remote."""

    async def write(self, commits: Sequence[PendingCommit]) -> list[str]:
        """Write all in one go, each under refs/pending/; readable and durable when this returns."""

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str:
        """One commit that holds what all parents hold; a single parent is returned as it is, none gives an
        empty root commit. Deterministic. Raises MergeConflict."""

    async def read_tree(self, commit: str, *, max_bytes: int = 50_000_000) -> dict[str, bytes]:
        """All regular files of a commit. Raises ArtifactError above `max_bytes` or for a missing commit."""

    async def publish(self, moves: Sequence[RefMove]) -> None:
        """Move branches and create tags for accepted outcomes, in one batch; again is a no-op."""

    async def save_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> None:
        """Keep a model exchange durably under (workflow, task, key)."""

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None: ...

    async def close(self) -> None: ...
