"""Brings a commit of the store to a new branch of the user's repository. Blocking.

Objects come as a pack and the branch is made by one comparing step: no transport, no hook, and no branch that
is there is ever moved.
"""

from __future__ import annotations

from artifacts.delivery.users_repository import UsersRepository
from artifacts.git.process import GitFailed, run
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError, InvalidInput

_NOTHING = "0" * 40


def make_branch(
    repository: Repository, base: str | None, commit: str, user: UsersRepository, name: str
) -> bool:
    """Make a branch at the commit, as it is in the store; False where it is there already.

    Raises InvalidInput for a name that Git refuses or that another branch has, and for a repository that does
    not have the commit's base.
    """
    check_branch_name(user, name)
    ref = f"refs/heads/{name}"
    there = user.find(ref)
    if there == commit:
        return False
    if there is not None:
        raise InvalidInput(f"branch {name!r}: is in {user.shown} already, at {there}; choose another name")
    bring_commit(repository, base, commit, user)
    try:
        user.git("update-ref", "--no-deref", ref, commit, _NOTHING)
    except GitFailed as error:
        raise InvalidInput(f"branch {name!r}: cannot be made in {user.shown}: {error}") from None
    return True


def bring_commit(repository: Repository, base: str | None, commit: str, user: UsersRepository) -> None:
    """Copy a commit, with what the user's repository lacks of its history. Raises InvalidInput."""
    if user.find(commit) is not None:
        return
    repository.ensure([commit] if base is None else [base, commit])
    if base is not None and user.find(base) is None:
        raise InvalidInput(
            f"repository {user.shown}: does not have the commit {base} that the work started from; "
            "name the one that has it with --repo"
        )
    wanted = f"{commit}\n" + (f"^{base}\n" if base else "")
    words = ["pack-objects", "--quiet", "--revs", "--stdout", "--delta-base-offset"]
    pack = run(words, git_dir=repository.git_dir, stdin=wanted.encode())
    try:
        user.git("index-pack", "--stdin", "--fix-thin", "--strict", stdin=pack)
    except GitFailed as error:
        raise ArtifactError(f"commit {commit} cannot be copied to {user.shown}: {error}") from None


def check_branch_name(user: UsersRepository, name: str) -> None:
    """Raise InvalidInput for a name that Git does not take for a branch."""
    try:
        user.git("check-ref-format", f"refs/heads/{name}")
    except GitFailed:
        name_is_fine = False
    else:
        name_is_fine = not name.startswith(("-", "@"))
    if not name_is_fine:
        raise InvalidInput(f"branch {name!r}: is no name that Git takes for a branch")
