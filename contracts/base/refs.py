"""Names in the artifact store that several packages use: refs, reserved task ids, the metadata folder.

W, T: a workflow's and a task's id. artifacts/git/ref_names.py builds full refs from these prefixes.
"""

from __future__ import annotations

import re
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
AUDIT: Final = "refs/multi-agent/audit"
"""heads: the heads of the audit log at one moment after the other, each as the message of a commit."""
ANCHORS: Final = f"{AUDIT}/heads"
MERGES: Final = "refs/merges"
"""Merges, by a digest of what was merged."""
BASES: Final = "refs/bases"
"""Commits imported from users' repositories."""
TAGGED: Final = "refs/tagged"
"""T/name: tags of users' repositories, by the object T that each points at."""
SNAPSHOTS: Final = "refs/snapshots"
"""Trees of workspaces, each as a commit, by a digest of what changed and of the tree before."""

SHORT_LIVED: Final = (PENDING, MERGES, SNAPSHOTS)
"""What nobody needs once it is old."""
FETCHED: Final = "refs/fetched"
"""Commits that a cache has of a remote store."""

METADATA_FOLDER: Final = ".multi-agent/"
"""Where the first release kept provenance within a tree; nobody writes there."""
TASK_RECORDS: Final = f"{METADATA_FOLDER}tasks/"
"""T.json: the ArtifactMetadata of each task, in trees of the first release."""

_AMENDMENT: Final = re.compile(r"\.amend[0-9]+$")
_MAX_ORIGIN: Final = 90


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


def amendment_name(origin: str, number: int) -> str:
    """The name of a workflow's amendment with this number, of the tests of a task."""
    return f"{origin[:_MAX_ORIGIN].rstrip('.')}.amend{number}"


def amended_name(amendment: str) -> str:
    """The name of what runs the tests again that an amendment looked at, where nothing else does."""
    return _AMENDMENT.sub(lambda end: end[0].replace("amend", "amended"), amendment)


def amended_origin(task_id: str) -> str:
    """What the names of those begin with whose tests an amendment looks at; "" for another task."""
    return _AMENDMENT.sub("", task_id) if is_amendment(task_id) else ""


def is_amendment(task_id: str) -> bool:
    """Whether a task that a debug cycle added looks again at tests."""
    return _AMENDMENT.search(task_id) is not None
