"""Outcomes and repositories to test the artifact store with."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit

NOW = 1_700_000_000


def outcome(
    task_id: str = "t1",
    files: Mapping[str, bytes | None] | None = None,
    parents: tuple[str, ...] = (),
    *,
    execution_id: str = "e1",
    created_at: int = NOW,
    subject: str = "coder: do it",
    workflow_id: str = "w1",
    model_name: str = "replay",
) -> PendingCommit:
    """A task's outcome with valid metadata."""
    files = {f"{task_id}.py": b"x = 1\n"} if files is None else files
    metadata = ArtifactMetadata(
        workflow_id=workflow_id,
        task_id=task_id,
        correlation_id="c1",
        agent_role="coder",
        agent_version="1.0",
        prompt_hash="a" * 64,
        model_name=model_name,
        timestamp="2023-11-14T22:13:20Z",
        artifacts=("a.py",),
        parents=(),
    )
    return PendingCommit(
        workflow_id=workflow_id,
        task_id=task_id,
        attempt=1,
        execution_id=execution_id,
        parents=parents,
        files=files,
        metadata=metadata,
        subject=subject,
        created_at=created_at,
    )


def git(folder: Path, *args: str, stdin: bytes = b"") -> str:
    """Plain git, as a user runs it, with an identity."""
    who = ["-c", "user.name=U", "-c", "user.email=u@example.invalid", "-c", "safe.directory=*"]
    done = subprocess.run(["git", *who, *args], cwd=folder, input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


def commit_all(folder: Path, message: str = "work") -> str:
    """Commit everything in a work tree; the commit's name."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def fsck(folder: Path) -> list[str]:
    """What plain `git fsck --strict` has to say."""
    args = ["git", "-c", "safe.directory=*", "fsck", "--strict", "--no-dangling", "--no-progress"]
    done = subprocess.run(args, cwd=folder, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("notice:")]
    return lines or ([f"status {done.returncode}"] if done.returncode else [])
