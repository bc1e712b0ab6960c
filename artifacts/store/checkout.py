"""A clone of an outcome to work in."""

from __future__ import annotations

import re
from pathlib import Path

from artifacts.git.process import GitFailed, ceiling, run
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError, InvalidInput
from contracts.base.refs import BRANCHES

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def checkout(repository: Repository, what: str, target: Path) -> Path:
    """Clone one branch or commit with its history to `target`, a new or empty folder; its absolute path.

    `what` is a branch such as `ai/generated/<workflow>/result`, or a commit's 40 hex digits, which gets the
    branch `artifacts`. The files are as `git clone` writes them, so the repository's own line-ending
    attributes count; hooks and filters do not run, submodules stay empty. No other workflow is copied. Raises
    InvalidInput and ArtifactError.
    """
    branch, commit = ("artifacts", what) if _COMMIT.match(what) else (what, branch_tip(repository, what))
    repository.ensure([commit])
    target = target.absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InvalidInput(f"target folder {str(target)!r}: must be empty or not exist; name another")
    target.mkdir(parents=True, exist_ok=True)
    fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--"]
    try:
        run(
            ["init", "--quiet", "--template=", f"--initial-branch={branch}"], cwd=target, more=ceiling(target)
        )
        # Not `clone`, which would link files; so only what the commit needs is copied.
        run(
            [*fetch, str(repository.git_dir), f"{commit}:refs/remotes/origin/{branch}"],
            cwd=target,
            protocol="file",
        )
        run(["reset", "--hard", "--quiet", commit, "--"], cwd=target)
    except GitFailed as error:
        raise ArtifactError(f"commit {commit} cannot be checked out to {str(target)!r}: {error}") from None
    return target


def branch_tip(repository: Repository, branch: str) -> str:
    """The commit that a branch is at. Raises InvalidInput for what names none, ArtifactError without it."""
    if not _BRANCH.match(branch) or ".." in branch:
        raise InvalidInput(f"branch {branch!r}: use a branch's full name or 40 hex digits of a commit")
    workflow_id, _, task_id = branch.removeprefix(f"{BRANCHES}/").partition("/")
    if branch.startswith(f"{BRANCHES}/") and task_id and "/" not in task_id:
        repository.refresh(workflow_id)
    found = repository.objects.read(f"refs/heads/{branch}")
    if found is None:
        raise ArtifactError(f"the store has no branch {branch!r}")
    return found.oid
