"""Full names of refs, and the texts of commits, which contain untrusted words."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import NamedTuple

from artifacts.git.commit_form import CommitForm, body_of
from contracts.base.errors import ArtifactError, InvalidInput
from contracts.base.refs import EXCHANGES, HEADS, MERGES, META, PENDING, RESULT, SUPERSEDED, TAGS
from contracts.ports.artifacts import PendingCommit

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_SUBJECT_LENGTH = 200

WORKFLOW, TASK, RECORD = "Workflow-Id", "Task-Id", "Metadata"
"""Trailers of an outcome that are read again; the last one names the object that holds its metadata."""


class Ref(NamedTuple):
    """A ref and the value that it should have."""

    name: str
    target: str | None
    """The object it points at, None when it shall not exist."""
    keep: str = ""
    """The folder of refs that keeps an old value which the new one does not contain; "" for none."""
    unless: str = ""
    """A ref during whose existence this one stays as it is; "" for none."""


def identifier(field: str, value: str) -> str:
    """Return `value` if it may be part of a ref. Raises InvalidInput."""
    if len(value) > 100 or not _IDENTIFIER.match(value) or value.endswith(".lock"):
        raise InvalidInput(
            f"{field} {value[:120]!r}: use 1 to 100 letters, digits, '_', '-' and inner dots, "
            "not ending in '.lock'"
        )
    return value


def commit_name(value: str) -> str:
    """Return `value` if it is the full name of a commit. Raises ArtifactError."""
    if not _COMMIT.match(value):
        raise ArtifactError(f"commit {value[:80]!r}: must be 40 hex digits")
    return value


def branch(workflow_id: str, task_id: str) -> str:
    """The branch of a task's accepted outcome."""
    return f"{HEADS}/{_pair(workflow_id, task_id)}"


def tag(workflow_id: str, task_id: str) -> str:
    """The tag beside the branch."""
    return f"{TAGS}{identifier('workflow_id', workflow_id)}_{identifier('task_id', task_id)}"


def meta(workflow_id: str, task_id: str) -> str:
    """The ref of the metadata beside the branch."""
    return f"{META}/{_pair(workflow_id, task_id)}"


def superseded(workflow_id: str, task_id: str) -> str:
    """The folder that keeps, by commit, outcomes that the database has lost."""
    return f"{SUPERSEDED}/{_pair(workflow_id, task_id)}"


def pending(commit: PendingCommit) -> str:
    """The ref of an outcome that is not accepted yet. Raises InvalidInput."""
    workflow, task = identifier("workflow_id", commit.workflow_id), identifier("task_id", commit.task_id)
    if task == RESULT:
        raise InvalidInput(
            f"task_id {RESULT!r}: is reserved for the merged outcome of a workflow; choose another"
        )
    if commit.attempt < 0:
        raise InvalidInput(f"attempt {commit.attempt}: must not be negative")
    execution = identifier("execution_id", commit.execution_id)
    return f"{PENDING}/{workflow}/{task}/{commit.attempt}/{execution}"


def exchanges(workflow_id: str, task_id: str) -> str:
    """The folder of refs that keeps a task's model exchanges."""
    return f"{EXCHANGES}/{_pair(workflow_id, task_id)}"


def exchange(workflow_id: str, task_id: str, key: str) -> str:
    """The ref of one model exchange."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{exchanges(workflow_id, task_id)}/{digest}"


def merge_ref(parents: tuple[str, ...], subject: str, created_at: int) -> str:
    """The ref that keeps a merge; the same merge has the same one."""
    text = "\n".join([*parents, str(created_at), subject])
    return f"{MERGES}/{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _pair(workflow_id: str, task_id: str) -> str:
    return f"{identifier('workflow_id', workflow_id)}/{identifier('task_id', task_id)}"


def timestamp(created_at: int) -> int:
    """Return `created_at` if Git can store it. Raises InvalidInput."""
    if not 0 <= created_at < 253_402_300_800:
        raise InvalidInput(f"created_at {created_at}: must be seconds since 1970, before the year 10000")
    return created_at


def one_line(text: str) -> str:
    """Remove line breaks, control and invisible characters, so that `text` cannot pass as another line."""
    kept = (
        " " if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} else char for char in text
    )
    return " ".join("".join(kept).split())


def subject_line(text: str) -> str:
    """The first line of a commit message."""
    return one_line(text)[:_SUBJECT_LENGTH] or "no subject"


def task_message(commit: PendingCommit, record: str, form: CommitForm | None = None) -> bytes:
    """Write subject, body and trailers: provenance that can be read from the commit alone.

    record: the name of the object that holds the metadata.
    form: that of the repository which the work started from; None for work from nothing.
    """
    metadata = commit.metadata
    subject, body = subject_line(commit.subject), ""
    if form is not None and commit.title:
        title = one_line(commit.title)
        subject = subject_line(form.subject(title, list(commit.files)))
        body = body_of(title, subject, one_line(commit.summary))
    trailers = {
        WORKFLOW: commit.workflow_id,
        TASK: commit.task_id,
        "Attempt": str(commit.attempt),
        "Correlation-Id": metadata.correlation_id,
        "Agent-Role": metadata.agent_role,
        "Agent-Version": metadata.agent_version,
        "Model-Name": metadata.model_name,
        "Prompt-Hash": metadata.prompt_hash,
        "Guidance": ", ".join(metadata.guidance) or None,
        "Skills": ", ".join(metadata.skills) or None,
        "Assisted-by": metadata.model_name and f"multi-agent:{metadata.model_name}",
        RECORD: record,
    }
    lines = [f"{key}: {one_line(value)}" for key, value in trailers.items() if value is not None]
    return "\n".join([subject, "", *([body, ""] if body else []), *lines, ""]).encode()
