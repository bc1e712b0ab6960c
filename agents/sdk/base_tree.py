"""The tree that a task starts from, and the metadata of the tasks before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from agents.sdk.changed_tree import ChangedTree
from contracts.base.errors import InvalidDocument, LimitExceeded
from contracts.base.processes.bounded_call import SMALL, bounded_call
from contracts.base.refs import is_metadata
from contracts.base.strict_json import has_more_parts, validate
from contracts.documents.reports import ArtifactMetadata
from contracts.documents.todo_list import Role
from contracts.messages.payloads import TaskRequest
from contracts.ports.artifacts import CommitStore

_MAX_PARTS: Final = 300_000
"""Of metadata: a report with as many results and messages as one may have stays below."""


@dataclass(frozen=True, slots=True)
class BaseTree:
    """The files of a tree, and what is known of the tasks that made it."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    """path -> content of everything outside the metadata folder, read when it is asked for."""
    reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As `Task.reports`. Tasks share the reports, so they must not be modified."""
    authors: Mapping[str, str] = field(default_factory=dict)
    """As `Task.authors`."""
    commit: str = ""
    """What holds the files; "" for none."""
    mended: tuple[str, ...] = ()
    """Commits from which earlier fixes of the workflow went on: what was judged there did not pass."""


EMPTY: Final = BaseTree()


async def read_base(workflow_id: str, request: TaskRequest, artifacts: CommitStore) -> BaseTree:
    """Merge the request's parents and read the resulting tree, and the metadata of the workflow's tasks.

    Raises MergeConflict, ArtifactError, StoreUnavailable.
    """
    if not request.parents:
        return EMPTY
    subject = f"Base of {request.item.task_id}"
    commit = await artifacts.merge(request.parents, subject=subject, created_at=request.created_at)
    files = await _files(artifacts, commit)
    reports: dict[str, Mapping[str, Any]] = {}
    authors: dict[str, str] = {}
    mended: list[str] = []
    for record in (await artifacts.read_records(workflow_id, commit)).values():
        metadata = await _metadata(record)
        # A user's repository may hold metadata of other workflows in its tree.
        if metadata is None or metadata.workflow_id != workflow_id:
            continue
        if metadata.report is not None:
            reports[metadata.task_id] = metadata.report
        if metadata.agent_role == Role.DEBUGGER and len(metadata.parents) == 1:
            mended += metadata.parents
        for artifact in metadata.artifacts:
            # A file that several roles wrote has no single author, so it gets none of an author's rights.
            known = authors.setdefault(artifact, metadata.agent_role)
            authors[artifact] = metadata.agent_role if known == metadata.agent_role else ""
    return BaseTree(files, reports, authors, commit, tuple(dict.fromkeys(mended)))


async def read_start(request: TaskRequest, artifacts: CommitStore | None) -> Mapping[str, bytes]:
    """Read the files that the workflow started from; none where it started from nothing.

    Raises ArtifactError, StoreUnavailable.
    """
    if artifacts is None or request.base_commit is None:
        return EMPTY.files
    return await _files(artifacts, request.base_commit)


async def _files(artifacts: CommitStore, commit: str) -> Mapping[str, bytes]:
    tree = await artifacts.open_tree(commit)
    metadata = dict.fromkeys(filter(is_metadata, tree))
    return ChangedTree(tree, metadata) if metadata else tree


async def _metadata(raw: bytes) -> ArtifactMetadata | None:
    """Parse metadata; what is not large is cached, because every later task reads it again."""
    if len(raw) <= SMALL:
        return _cached(raw)
    try:
        return None if has_more_parts(raw, _MAX_PARTS) else await bounded_call(len(raw), _parse, raw)
    except LimitExceeded:
        return None


@lru_cache(maxsize=4_096)
def _cached(raw: bytes) -> ArtifactMetadata | None:
    return _parse(raw)


def _parse(raw: bytes) -> ArtifactMetadata | None:
    try:
        return validate(ArtifactMetadata, raw, "metadata")
    except InvalidDocument:
        return None
