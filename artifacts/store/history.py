"""The accepted outcomes of a workflow, for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifacts.git import ref_names
from artifacts.git.gitpython import opened
from artifacts.git.objects import parse_trailers
from artifacts.store.repository import Repository
from contracts.base.refs import RESULT

if TYPE_CHECKING:
    from git import Repo

_SHAS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """An accepted outcome."""

    task_id: str
    sha: str
    subject: str
    trailers: dict[str, str]
    files: tuple[str, ...]
    """Those that it changed itself; what it only merged does not count."""
    created_at: int
    """The commit time in seconds since 1970."""


def history(repository: Repository, workflow_id: str) -> list[CommitInfo]:
    """Read the accepted outcomes of a workflow, oldest first; the merged one, if any, is task RESULT."""
    folder = ref_names.branch(workflow_id, RESULT).removesuffix(RESULT)
    repository.refresh(workflow_id)
    with opened(repository.git_dir) as repo:
        heads = [
            (head.path.removeprefix(folder), head.commit)
            for head in repo.heads
            if head.path.startswith(folder)
        ]
        files = _changed_files(repo, [commit.hexsha for _, commit in heads])
        found = []
        for task_id, commit in heads:
            message = str(commit.message)
            found.append(
                CommitInfo(
                    task_id=task_id,
                    sha=commit.hexsha,
                    subject=message.partition("\n")[0],
                    trailers=parse_trailers(message),
                    files=files.get(commit.hexsha, ()),
                    created_at=commit.committed_date,
                )
            )
    return sorted(found, key=lambda info: (info.created_at, info.task_id == RESULT, info.task_id))


def _changed_files(repo: Repo, shas: Sequence[str]) -> dict[str, tuple[str, ...]]:
    # Combined diffs (-c) list the files of a merge that differ from all its parents, which are its own work.
    shape = ["--no-walk=unsorted", "-c", "--root", "--name-only", "-z", "--no-renames", "--format=%x1e%H%x00"]
    files: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(shas), _SHAS_AT_ONCE):
        out = str(repo.git.log(*shape, *shas[start : start + _SHAS_AT_ONCE], "--"))
        for record in out.split("\x1e")[1:]:
            sha, *paths = (part.strip("\n") for part in record.split("\0"))
            files[sha] = tuple(path for path in paths if path)
    return files
