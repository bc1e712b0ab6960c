"""A blocking store for scripts: one call writes and publishes a task's outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from artifacts.git.creation import create_store
from artifacts.store.repository import Repository
from contracts.base.errors import InvalidDocument, Problem
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit, RefMove

_TIME = "%Y-%m-%dT%H:%M:%SZ"


class ArtifactStore:
    """A store at a path, made when there is none. Close it, or use it in a `with` statement."""

    def __init__(self, path: str | Path) -> None:
        self._repository = Repository(create_store(Path(path)))

    def commit_artifacts(
        self,
        workflow_id: str,
        task_id: str,
        artifacts: Mapping[str, str | bytes],
        metadata: ArtifactMetadata | Mapping[str, Any],
    ) -> str:
        """Commit files (path -> content), publish them as the task's outcome, and return the commit's name.

        metadata: the document, or a mapping with at least `agent_role`; ids, time and files are filled in.
        Its `parents` are the commits that the outcome builds on, its `timestamp` is the commit time.
        Raises InvalidInput (InvalidDocument, UnsafePath) and ArtifactError.
        """
        document = _document(workflow_id, task_id, artifacts, metadata)
        files = {path: text.encode() if isinstance(text, str) else text for path, text in artifacts.items()}
        commit = PendingCommit(
            workflow_id=workflow_id,
            task_id=task_id,
            attempt=document.attempt,
            execution_id="direct",
            parents=document.parents,
            files=files,
            metadata=document,
            subject=f"{document.agent_role}: {task_id}",
            created_at=int(datetime.strptime(document.timestamp, _TIME).replace(tzinfo=UTC).timestamp()),
        )
        [sha] = self._repository.commit([self._repository.draft(commit)])
        self._repository.publish([RefMove(workflow_id, task_id, sha)])
        return sha

    def read_tree(self, commit: str, *, max_bytes: int = 50_000_000) -> dict[str, bytes]:
        """All regular files of a commit."""
        return self._repository.read_tree(commit, max_bytes)

    def close(self) -> None:
        """Release what the store holds open."""
        self._repository.close()

    def __enter__(self) -> ArtifactStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _document(
    workflow_id: str,
    task_id: str,
    artifacts: Mapping[str, str | bytes],
    metadata: ArtifactMetadata | Mapping[str, Any],
) -> ArtifactMetadata:
    if isinstance(metadata, ArtifactMetadata):
        return metadata
    defaults = {
        "workflow_id": workflow_id,
        "task_id": task_id,
        "correlation_id": workflow_id,
        "agent_version": "unknown",
        "timestamp": time.strftime(_TIME, time.gmtime()),
        "artifacts": sorted(artifacts),
    }
    try:
        return ArtifactMetadata.model_validate(defaults | dict(metadata))
    except ValidationError as error:
        problems = [
            Problem(".".join(["$", *map(str, fault["loc"])]), fault["msg"])
            for fault in error.errors(include_url=False)
        ]
        raise InvalidDocument("artifact metadata", problems) from None
