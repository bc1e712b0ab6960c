"""What a store holds, for checks of the whole system."""

from __future__ import annotations

from collections.abc import Sequence

from artifacts.git import ref_names
from artifacts.git.gitpython import opened
from artifacts.git.process import run
from artifacts.store.repository import Repository
from contracts.base.refs import HEADS


def accepted(repository: Repository) -> dict[tuple[str, str], str]:
    """The commit of each accepted outcome, by workflow and task; merged ones are task RESULT."""
    out = run(["for-each-ref", "--format=%(objectname) %(refname)", HEADS], git_dir=repository.git_dir)
    rows = (line.split(" ", 1) for line in out.decode().splitlines())
    parts = ((ref.removeprefix(f"{HEADS}/").split("/"), oid) for oid, ref in rows)
    return {(path[0], path[1]): oid for path, oid in parts if len(path) == 2}


def lacking(repository: Repository, commit: str, parts: Sequence[str]) -> list[str]:
    """The commits that `parts` contain and `commit` does not. Raises ArtifactError for a missing one."""
    lines = [ref_names.commit_name(part) for part in parts] + [f"^{ref_names.commit_name(commit)}"]
    stdin = "".join(f"{line}\n" for line in lines).encode()
    return run(["rev-list", "--stdin"], git_dir=repository.git_dir, stdin=stdin).decode().split()


def verify(repository: Repository) -> list[str]:
    """Run `git fsck --strict`, which reads every object; one line for each problem, [] without any."""
    with opened(repository.git_dir) as repo:
        args = ["--strict", "--no-dangling", "--no-progress"]
        status, out, err = repo.git.fsck(*args, with_extended_output=True, with_exceptions=False)
    lines = [line for line in f"{out}\n{err}".splitlines() if line.strip()]
    notices = ("notice:", "Checking ")
    problems = [line for line in lines if not line.startswith(notices)]
    return problems or ([f"git fsck ended with status {status}"] if status else [])
