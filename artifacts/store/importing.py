"""Imports a user's existing repository into a store."""

from __future__ import annotations

import shlex
from pathlib import Path

from artifacts.git.process import GitFailed, ceiling, run
from artifacts.git.ref_names import Ref
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError, InvalidInput
from contracts.base.refs import BASES, TAGGED

_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--update-shallow",
)


def import_base(repository: Repository, source: Path, rev: str = "HEAD") -> str:
    """Copy the commit `rev` of the repository at `source`, with its history, into the store; return its name.

    What is not committed is not copied; no hook or filter of the source runs. Raises InvalidInput when
    `source` is no repository (its own root, not a folder inside one), has no such commit or lacks objects.
    """
    source = source.absolute()
    commit = find_base(source, rev)
    ref = Ref(f"{BASES}/{commit}", commit)

    def write() -> None:
        with repository.guard.writing() as held:
            refspec = f"+{commit}:{ref.name}"
            run(
                [*_FETCH, "--", str(source), refspec],
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
    repository.share([ref, *_import_tags(repository, source, commit)])
    return commit


def _import_tags(repository: Repository, source: Path, commit: str) -> list[Ref]:
    """Copy the tags that the commit contains, so that workspaces have them; return the refs of new ones.

    Each lies under the name of its object: a store holds several repositories, whose tags may be
    called alike.
    """
    listed = run(
        ["for-each-ref", f"--merged={commit}", "--format=%(objectname) %(refname:lstrip=2)", "refs/tags"],
        cwd=source,
    )
    pairs = [line.split(" ", 1) for line in listed.decode("utf-8", "replace").splitlines()]
    wanted = {f"{TAGGED}/{oid}/{name}": (oid, name) for oid, name in pairs if "\ufffd" not in name}
    known = run(["for-each-ref", "--format=%(refname)", TAGGED], git_dir=repository.git_dir).decode().split()
    new = {ref: found for ref, found in wanted.items() if ref not in set(known)}
    if new:
        refspecs = "".join(f"+refs/tags/{name}:{ref}\n" for ref, (_, name) in new.items())
        with repository.guard.writing() as held:
            run(
                [*_FETCH, "--stdin", "--", str(source)],
                git_dir=repository.git_dir,
                stdin=refspecs.encode(),
                protocol="file",
                inherit=(held,),
            )
    return [Ref(ref, oid) for ref, (oid, _) in new.items()]


def find_base(source: Path, rev: str = "HEAD") -> str:
    """The commit that `import_base` would copy; raises what that raises for the same reasons."""
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


def git_folder(source: Path) -> Path:
    """Where the repository at `source` keeps its objects. Raises GitFailed for what is none."""
    return Path(_ask(source, "--absolute-git-dir"))


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
    return run(["rev-parse", *question], cwd=source, more=ceiling(source.parent)).decode().strip()
