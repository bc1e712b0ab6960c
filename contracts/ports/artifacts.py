"""The artifact store: the outcome of every task as a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from contracts.documents.reports import ArtifactMetadata
from contracts.ports.exchanges import ExchangeStore
from contracts.ports.tree_files import TreeFiles
from contracts.ports.trees import TreeChanges


@dataclass(frozen=True, slots=True)
class PendingCommit:
    """The outcome of a task on its way into the store."""

    workflow_id: str
    task_id: str
    attempt: int
    """Names the pending ref, together with `execution_id`."""
    execution_id: str
    parents: tuple[str, ...]
    """The commits it starts from; more than one are merged first."""
    files: Mapping[str, bytes | None]
    """Path -> new content; None deletes the file."""
    metadata: ArtifactMetadata
    subject: str
    created_at: int
    """The commit time in seconds since 1970, UTC: the creation time of the dispatch, so that the same work
    gives the same commit."""
    title: str = ""
    """What was done, as an imperative: the subject in the form of a repository that the work started from."""
    summary: str = ""
    """What whoever did it said of it, for the body there."""


class RefMove(NamedTuple):
    """Publishes `commit` as the accepted outcome of a task."""

    workflow_id: str
    task_id: str
    """contracts.base.refs.RESULT for the merged outcome of the workflow, UNVERIFIED for what a failed one
    offers, which has no effect while there is a result."""
    commit: str | None
    """None removes the branch, if there is one."""


class CommitStore(Protocol):
    """Commits of a Git store, named by 40 hex digits. Raises ArtifactError; StoreUnavailable for a remote."""

    async def write(self, commits: Sequence[PendingCommit]) -> list[str]:
        """Write all in one go, each under a pending ref; readable and durable when this returns."""

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str:
        """One commit that holds what all parents hold. Deterministic. Raises MergeConflict.

        A single parent is returned as it is; no parent gives an empty root commit.
        """

    async def open_tree(self, commit: str) -> TreeFiles:
        """The regular files of a commit, not their contents. Raises ArtifactError for a missing commit."""

    async def changes(self, old: str, new: str, *, max_bytes: int) -> TreeChanges:
        """What makes the tree of one commit that of another; either name may be that of a tree itself.

        Raises ArtifactError for a missing one, above `max_bytes`, and when a submodule differs.
        """

    async def read_tree(self, commit: str, *, max_bytes: int | None = None) -> dict[str, bytes]:
        """All regular files of a commit. Raises ArtifactError above `max_bytes` or for a missing commit.

        max_bytes: None for the store's own limit.
        """

    async def read_records(
        self, workflow_id: str, commit: str, *, max_bytes: int = 50_000_000
    ) -> dict[str, bytes]:
        """Task id -> ArtifactMetadata as JSON of each task whose outcome a commit of the workflow contains.

        Raises ArtifactError above `max_bytes` or for a missing one.
        """

    async def publish(self, moves: Sequence[RefMove]) -> None:
        """Move the branches, tags and metadata refs of accepted outcomes, all or none. Again is a no-op."""

    async def close(self) -> None:
        """Release what the store holds open."""


class AnchorStore(Protocol):
    """Texts that are kept one behind the other. Raises ArtifactError; StoreUnavailable for a remote."""

    async def add_anchor(self, text: str, created_at: int) -> str:
        """Append a text, durably, at seconds since 1970; return its name. Of several at once each is kept."""

    async def anchors(self, most: int | None = None) -> list[tuple[str, str]]:
        """(name, text), oldest first; of all, or of the newest."""


class WorkerArtifacts(CommitStore, ExchangeStore, Protocol):
    """Both ports in one object, as a worker is given it."""
