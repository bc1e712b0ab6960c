"""Imports a user's existing repository into a store."""

from __future__ import annotations

import shlex
from pathlib import Path

from artifacts.git.process import GitFailed, run
from artifacts.git.ref_names import Ref
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError, InvalidInput
from contracts.base.refs import BASES


def import_base(repository: Repository, source: Path, rev: str = "HEAD") -> str:
    """Copy the commit `rev` of the repository at `source`, with its history, into the store; return its name.

    What is not committed is not copied; no hook or filter of the source runs. Raises InvalidInput when
    `source` is no repository (its own root, not a folder inside one), has no such commit or lacks objects.
    """
    source = source.absolute()
    commit = _resolve(source, rev)
    ref = Ref(f"{BASES}/{commit}", commit)
    args = [
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--update-shallow",
    ]

    def write() -> None:
        with repository.guard.writing() as held:
            refspec = f"+{commit}:{ref.name}"
            run(
                [*args, "--", str(source), refspec],
                git_dir=repository.git_dir,
                protocol="file",
                inherit=(held,),
            )

    try:
        repository.guard.persist(write)
    except GitFailed as error:
        if _is_partial(source):
            raise InvalidInput(
                f"repository {str(source)!r}: is a partial clone, which lacks files; fetch the rest: "
                f"git -C {shlex.quote(str(source))} fetch --refetch --no-filter"
            ) from None
        raise ArtifactError(
            f"repository {str(source)!r}: commit {commit} cannot be copied: {error}"
        ) from None
    repository.share([ref])
    return commit


def _resolve(source: Path, rev: str) -> str:
    if not source.is_dir():
        raise InvalidInput(f"repository {str(source)!r}: is not a folder")
    if rev.startswith("-"):
        raise InvalidInput(f"revision {rev!r}: must not start with '-'")
    try:
        _ask(source, "--git-dir")
    except GitFailed:
        raise _no_repository(source) from None
    try:
        commit = _ask(source, "--verify", "--quiet", f"{rev}^{{commit}}")
    except GitFailed:
        raise InvalidInput(
            f"repository {str(source)!r}: has no commit {rev!r}; commit something first"
        ) from None
    if len(commit) != 40:
        raise InvalidInput(
            f"repository {str(source)!r}: only repositories with SHA-1 object names can be used"
        )
    return commit


def _no_repository(source: Path) -> InvalidInput:
    try:
        top = run(["rev-parse", "--show-toplevel"], cwd=source).decode().removesuffix("\n")
    except GitFailed:
        what = "is no Git repository; `git init` there, commit, and try again"
    else:
        what = f"is a folder of the repository {top!r}; use --repo {shlex.quote(top)}"
    return InvalidInput(f"repository {str(source)!r}: {what}")


def _is_partial(source: Path) -> bool:
    try:
        return b"true" in run(["config", "--get-regexp", r"^remote\..*\.promisor$"], cwd=source)
    except GitFailed:
        return False


def _ask(source: Path, *question: str) -> str:
    return run(["rev-parse", *question], cwd=source, ceiling=source.parent).decode().strip()
