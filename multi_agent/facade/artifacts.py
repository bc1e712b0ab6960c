"""The artifact store for scripts: one call writes and publishes a task's outcome."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.base.errors import InvalidInput
from contracts.base.strict_json import to_json, validate
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit, RefMove
from multi_agent.bootstrap import make_local_artifacts
from multi_agent.facade.files import NamedFiles, read_files
from multi_agent.facade.options import settings_from

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


class ArtifactStore:
    """A store at a path, made when there is none. Close it, or use it in a `with` statement."""

    def __init__(self, path: str | Path | None = None) -> None:
        """Open the store of the settings (in the data folder) without a path. InvalidInput for a URL."""
        place = str(path) if path is not None else settings_from({}).artifacts
        if urlsplit(place).scheme:
            raise InvalidInput(f"the artifact store {place} is not on this machine; give a path")
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        self._repository = make_local_artifacts(Path(place))

    def commit_artifacts(
        self,
        workflow_id: str,
        task_id: str,
        artifacts: NamedFiles,
        metadata: ArtifactMetadata | Mapping[str, Any],
    ) -> str:
        """Commit files, publish them as the task's outcome, and return the commit's name.

        artifacts: path -> content, or paths of files; see multi_agent.facade.files.
        metadata: the document, or a mapping with at least `agent_role`; ids, time and files are filled in.
        Its `parents` are the commits that the outcome builds on, its `timestamp` is the commit time.
        Raises InvalidInput (InvalidDocument, UnsafePath) and ArtifactError.
        """
        files = read_files(artifacts)
        document = _document(workflow_id, task_id, files, metadata)
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
    workflow_id: str, task_id: str, paths: Iterable[str], metadata: ArtifactMetadata | Mapping[str, Any]
) -> ArtifactMetadata:
    if isinstance(metadata, ArtifactMetadata):
        return metadata
    if not isinstance(metadata, Mapping):
        raise InvalidInput(f"metadata is a {type(metadata).__name__}; give at least {{'agent_role': ...}}")
    defaults = {
        "workflow_id": workflow_id,
        "task_id": task_id,
        "correlation_id": workflow_id,
        "agent_version": "unknown",
        "timestamp": time.strftime(_TIME, time.gmtime()),
        "artifacts": sorted(paths),
    }
    kind = "artifact metadata"
    return validate(ArtifactMetadata, to_json(defaults | dict(metadata), kind), kind)
