"""Reading a store for people: a workflow's history, a clone to work in, a check of every object."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.git import names
from artifacts.git.objects import parse_trailers
from artifacts.git.process import GitFailed, environment, options, run
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError, InvalidInput

if TYPE_CHECKING:
    from git import Repo

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*\Z")
_SHAS_AT_ONCE = 1_000
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """An accepted outcome. `files` are those it changed itself; what it only merged does not count.

    created_at: the commit time in seconds since 1970.
    """

    task_id: str
    sha: str
    subject: str
    trailers: dict[str, str]
    files: tuple[str, ...]
    created_at: int


def history(repository: Repository, workflow_id: str) -> list[CommitInfo]:
    """The accepted outcomes of a workflow, oldest first; the merged one, if any, is called "result"."""
    folder = names.branch(workflow_id, names.RESULT).removesuffix(names.RESULT)
    repository.refresh(workflow_id)
    with _opened(repository.git_dir) as repo:
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
    return sorted(found, key=lambda info: (info.created_at, info.task_id == names.RESULT, info.task_id))


def accepted(repository: Repository) -> dict[tuple[str, str], str]:
    """The commit of each accepted outcome's branch, by workflow and task; merged ones are task "result"."""
    out = run(["for-each-ref", "--format=%(objectname) %(refname)", names.HEADS], git_dir=repository.git_dir)
    rows = (line.split(" ", 1) for line in out.decode().splitlines())
    parts = ((ref.removeprefix(f"{names.HEADS}/").split("/"), oid) for oid, ref in rows)
    return {(path[0], path[1]): oid for path, oid in parts if len(path) == 2}


def lacking(repository: Repository, commit: str, parts: Sequence[str]) -> list[str]:
    """Commits that `parts` reach and `commit` does not. Raises ArtifactError for one that is missing."""
    lines = [names.commit_name(part) for part in parts] + [f"^{names.commit_name(commit)}"]
    stdin = "".join(f"{line}\n" for line in lines).encode()
    return run(["rev-list", "--stdin"], git_dir=repository.git_dir, stdin=stdin).decode().split()


def verify(repository: Repository) -> list[str]:
    """What `git fsck --strict` finds wrong, one line a problem; [] for a sound store. Reads every object."""
    with _opened(repository.git_dir) as repo:
        args = ["--strict", "--no-dangling", "--no-progress"]
        status, out, err = repo.git.fsck(*args, with_extended_output=True, with_exceptions=False)
    lines = [line for line in f"{out}\n{err}".splitlines() if line.strip()]
    notices = ("notice:", "Checking ")
    problems = [line for line in lines if not line.startswith(notices)]
    return problems or ([f"git fsck ended with status {status}"] if status else [])


def checkout(repository: Repository, what: str, target: Path) -> Path:
    """A clone with history of one branch or commit at `target`, a new or empty folder; its absolute path.

    `what` is a branch such as `ai/generated/<workflow>/result`, or a commit's 40 hex digits, which gets the
    branch `artifacts`. The files are as `git clone` lays them out, so the repository's own line-ending
    attributes count; hooks and filters do not run, submodules stay empty. No other workflow is copied.
    """
    branch, commit = ("artifacts", what) if _COMMIT.match(what) else (what, _branch_tip(repository, what))
    repository.ensure([commit])
    target = target.absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InvalidInput(f"target folder {str(target)!r}: must be empty or not exist; name another")
    target.mkdir(parents=True, exist_ok=True)
    fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--"]
    try:
        run(["init", "--quiet", "--template=", f"--initial-branch={branch}"], cwd=target, ceiling=target)
        # Through the transport, not by linking files: only what the commit needs arrives.
        source = f"file://{repository.git_dir}"
        run([*fetch, source, f"{commit}:refs/remotes/origin/{branch}"], cwd=target, protocol="file")
        run(["reset", "--hard", "--quiet", commit, "--"], cwd=target)
    except GitFailed as error:
        raise ArtifactError(f"commit {commit} cannot be laid out in {str(target)!r}: {error}") from None
    return target


def _branch_tip(repository: Repository, branch: str) -> str:
    if not _BRANCH.match(branch) or ".." in branch:
        raise InvalidInput(f"branch {branch!r}: use a branch's full name or 40 hex digits of a commit")
    parts = branch.split("/")
    if branch.startswith("ai/generated/") and len(parts) == 4:
        repository.refresh(parts[2])
    found = repository.objects.read(f"refs/heads/{branch}")
    if found is None:
        raise ArtifactError(f"the store has no branch {branch!r}")
    return found.oid


def _changed_files(repo: Repo, shas: Sequence[str]) -> dict[str, tuple[str, ...]]:
    # Combined diffs (-c) name the files of a merge that differ from all its parents: its own work.
    shape = ["--no-walk=unsorted", "-c", "--root", "--name-only", "-z", "--no-renames", "--format=%x1e%H%x00"]
    files: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(shas), _SHAS_AT_ONCE):
        out = str(repo.git.log(*shape, *shas[start : start + _SHAS_AT_ONCE], "--"))
        for record in out.split("\x1e")[1:]:
            sha, *paths = (part.strip("\n") for part in record.split("\0"))
            files[sha] = tuple(path for path in paths if path)
    return files


@contextmanager
def _opened(git_dir: Path) -> Iterator[Repo]:
    """The store as GitPython sees it, under the same rules as every other git call."""
    # GitPython cannot even be imported where no git program is; `options` says so in words of ours.
    switches = options()
    from git import Repo  # noqa: PLC0415 - see above
    from git.exc import GitError  # noqa: PLC0415 - see above

    try:
        with Repo(git_dir) as repo:
            repo.git.update_environment(**environment(), GIT_DIR=str(git_dir))
            repo.git.set_persistent_git_options(c=switches)
            yield repo
    except GitError as error:
        raise ArtifactError(f"the store at {str(git_dir)!r} cannot be read: {error}") from None
