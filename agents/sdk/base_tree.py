"""The tree a task starts from, and what earlier tasks left in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from contracts.base.errors import InvalidDocument
from contracts.base.refs import TASK_RECORDS, is_metadata
from contracts.base.strict_json import validate
from contracts.documents.reports import ArtifactMetadata
from contracts.messages.events import TaskRequest
from contracts.ports.artifacts import CommitStore

_REMEMBERED_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class BaseTree:
    """files: everything outside the metadata folder. reports, authors: as in agents.sdk.task.Task.

    Tasks share the reports; nobody may change one.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    authors: Mapping[str, str] = field(default_factory=dict)


EMPTY: Final = BaseTree()


async def read_base(request: TaskRequest, artifacts: CommitStore) -> BaseTree:
    """The merge of the request's parents. Raises MergeConflict, ArtifactError, StoreUnavailable."""
    if not request.parents:
        return EMPTY
    subject = f"Base of {request.item.task_id}"
    commit = await artifacts.merge(request.parents, subject=subject, created_at=request.created_at)
    return _split(await artifacts.read_tree(commit))


def _split(tree: Mapping[str, bytes]) -> BaseTree:
    reports: dict[str, Mapping[str, Any]] = {}
    authors: dict[str, str] = {}
    for path in sorted(path for path in tree if path.startswith(TASK_RECORDS) and path.endswith(".json")):
        metadata = _metadata(tree[path])
        if metadata is None:
            continue
        if metadata.report is not None:
            reports[metadata.task_id] = metadata.report
        for artifact in metadata.artifacts:
            # A file of two roles has no one author, so that nobody's word about it is taken.
            known = authors.setdefault(artifact, metadata.agent_role)
            authors[artifact] = metadata.agent_role if known == metadata.agent_role else ""
    files = {path: content for path, content in tree.items() if not is_metadata(path)}
    return BaseTree(files, reports, authors)


def _metadata(raw: bytes) -> ArtifactMetadata | None:
    """A task reads the metadata of all before it, so what is not huge is parsed once."""
    return _remembered(raw) if len(raw) <= _REMEMBERED_BYTES else _parsed(raw)


@lru_cache(maxsize=4_096)
def _remembered(raw: bytes) -> ArtifactMetadata | None:
    return _parsed(raw)


def _parsed(raw: bytes) -> ArtifactMetadata | None:
    try:
        return validate(ArtifactMetadata, raw, "metadata")
    except InvalidDocument:
        return None
