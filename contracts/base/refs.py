"""Names in the artifact store that several packages use: refs, reserved task ids, the metadata folder.

W, T: a workflow's and a task's id. artifacts/git/ref_names.py builds full refs from these prefixes.
"""

from __future__ import annotations

from typing import Final

RESULT: Final = "result"
"""The task id under which a workflow's merged outcome is published; no task may have it."""
UNVERIFIED: Final = "unverified"
"""The task id under which a failed workflow offers what it has; no task of a new plan may have it."""
RESERVED_TASKS: Final = frozenset({RESULT, UNVERIFIED})

BRANCHES: Final = "ai/generated"
"""Branches W/T of accepted outcomes."""
HEADS: Final = f"refs/heads/{BRANCHES}"
TAGS: Final = "refs/tags/workflow_"
"""Tags W_T beside the branches; never parsed, since two pairs of ids can share one."""
META: Final = "refs/multi-agent/meta"
"""W/T: the ArtifactMetadata of accepted outcomes, as JSON."""
PENDING: Final = "refs/pending"
"""W/T/attempt/execution: outcomes that are not accepted yet, with their metadata."""
SUPERSEDED: Final = "refs/superseded"
"""W/T/commit: accepted outcomes that the database has lost, as after a restore from a backup."""
EXCHANGES: Final = "refs/exchanges"
"""W/T/digest: model exchanges."""
MERGES: Final = "refs/merges"
"""Merges, by a digest of what was merged."""
BASES: Final = "refs/bases"
"""Commits imported from users' repositories."""
FETCHED: Final = "refs/fetched"
"""Commits that a cache has of a remote store."""

METADATA_FOLDER: Final = ".multi-agent/"
"""Where the first release kept provenance within a tree; nobody writes there."""
TASK_RECORDS: Final = f"{METADATA_FOLDER}tasks/"
"""T.json: the ArtifactMetadata of each task, in trees of the first release."""


def branch_name(workflow_id: str, task_id: str = RESULT) -> str:
    """The branch of an accepted outcome, as people give it to git; by default the merged one."""
    return f"{BRANCHES}/{workflow_id}/{task_id}"


def is_metadata(path: str) -> bool:
    """Whether a path of a tree is provenance, not work."""
    return path.startswith(METADATA_FOLDER)


def is_reserved(path: str) -> bool:
    """Whether a file or folder that somebody wants to write would lie in the metadata folder.

    Case does not count, since some file systems ignore it.
    """
    return f"{path.casefold()}/".startswith(METADATA_FOLDER)
