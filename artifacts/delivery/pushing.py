"""Pushes a commit of the store to a branch of a remote: a new one, or one that holds this work already.

Blocking. No hook runs and nothing is written to a repository of the user. A token is in the environment of
Git alone, and goes to the host of the remote alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from artifacts.git.process import GitFailed, run
from artifacts.git.ref_names import WORKFLOW
from artifacts.store.repository import Repository
from contracts.base.errors import InvalidInput, StoreUnavailable

_PROTOCOLS: Final = ("https", "http", "ssh", "file")
_PUSH: Final = ("push", "--quiet", "--porcelain", "--no-verify", "--no-recurse-submodules")


@dataclass(frozen=True, slots=True)
class Remote:
    """Where to push."""

    url: str
    """Without a user and a password where a token is given."""
    user: str = ""
    token: str | None = None

    @property
    def protocol(self) -> str:
        """The transport that Git may use."""
        scheme = self.url.partition("://")[0]
        if scheme in _PROTOCOLS:
            return scheme
        return "file" if self.url.startswith(("/", ".")) else "ssh"

    @property
    def variables(self) -> Mapping[str, str]:
        """The token as Git's environment has it, for this host."""
        followed = {"http.followRedirects": "false"}
        if self.token and self.protocol in {"https", "http"}:
            host = "/".join(self.url.split("/")[:3])
            basic = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
            followed[f"http.{host}/.extraHeader"] = f"Authorization: Basic {basic}"
        pairs = {f"GIT_CONFIG_KEY_{number}": key for number, key in enumerate(followed)}
        pairs |= {f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(followed.values())}
        return {"GIT_CONFIG_COUNT": str(len(followed)), **pairs}


def push_commit(repository: Repository, workflow_id: str, commit: str, remote: Remote, branch: str) -> bool:
    """Push; False where the branch is there already.

    Raises InvalidInput for a branch that holds something else than this workflow's work, or that the remote
    refuses, StoreUnavailable for a remote that cannot be reached.
    """
    repository.ensure([commit])
    ref = f"refs/heads/{branch}"
    there = _tip(repository, remote, ref)
    if there == commit:
        return False
    if there is not None and not _is_own(repository, workflow_id, there):
        raise InvalidInput(
            f"branch {branch!r}: is at the remote already and holds other work ({there[:12]}); "
            "nothing was pushed; choose another name with --branch"
        )
    lease = f"--force-with-lease={ref}:{there or ''}"
    try:
        _git(repository, remote, *_PUSH, lease, "--", remote.url, f"{commit}:{ref}")
    except GitFailed as error:
        raise InvalidInput(f"branch {branch!r}: the remote refuses it: {_said(error)}") from None
    return True


def _tip(repository: Repository, remote: Remote, ref: str) -> str | None:
    try:
        listed = _git(repository, remote, "ls-remote", "--quiet", "--", remote.url, ref)
    except GitFailed as error:
        raise StoreUnavailable(f"the remote cannot be read: {_said(error)}") from None
    rows = (line.split("\t") for line in listed.decode().splitlines())
    return next((oid for oid, name in rows if name == ref), None)


def _is_own(repository: Repository, workflow_id: str, commit: str) -> bool:
    """Whether a commit is one of this workflow: an outcome, or a merge of outcomes that names it."""
    found = repository.objects.read(commit)
    if found is None or found.kind != b"commit":
        return False
    known = repository.objects.remember_commit(found)
    subject = known.message.partition("\n")[0]
    merged = known.role == "merge" and subject.endswith(f" {workflow_id}")
    return merged or (bool(known.role) and known.trailers.get(WORKFLOW) == workflow_id)


def _git(repository: Repository, remote: Remote, *args: str) -> bytes:
    return run(args, git_dir=repository.git_dir, protocol=remote.protocol, more=remote.variables)


def _said(error: GitFailed) -> str:
    """What Git and the server said, on one line."""
    rejected = [line for line in error.stdout.decode("utf-8", "replace").splitlines() if line.startswith("!")]
    return " ".join([str(error), *rejected])
