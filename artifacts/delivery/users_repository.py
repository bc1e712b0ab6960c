"""A repository of the user, looked at without running anything of it: no hook, filter or monitor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from artifacts.git.process import GitFailed, run, users_setting
from contracts.base.errors import InvalidInput

_SKIPPED: Final = b"S"
_CONVERSIONS: Final = ("core.autocrlf", "core.eol", "core.fileMode", "core.symlinks", "core.ignoreCase")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the index has of a path."""

    mode: bytes
    oid: str
    merged: bool
    """Whether no conflict is open there."""
    skipped: bool
    """Whether a sparse checkout leaves the path out."""


@dataclass(frozen=True, slots=True)
class UsersRepository:
    """Where its parts are."""

    folder: Path
    """Any folder of it, from which Git finds it."""
    git_dir: Path
    """Of this work tree."""
    common_dir: Path
    """What all its work trees share."""
    top: Path | None
    """The work tree, None in a bare repository."""

    @property
    def shown(self) -> str:
        """How it is called in messages."""
        return repr(str(self.top or self.git_dir))

    @property
    def objects(self) -> Path:
        """Where its objects are."""
        return self.common_dir / "objects"

    def head(self) -> str | None:
        """The commit that is checked out; None before the first one."""
        return self.find("HEAD")

    def find(self, rev: str) -> str | None:
        """The commit that a revision names; None when the repository has none."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}").decode().strip()
        except GitFailed:
            return None

    def index(self) -> dict[bytes, IndexEntry]:
        """What would be committed, by path."""
        entries = {}
        for line in filter(None, self.git("ls-files", "-t", "-s", "-z", "--full-name").split(b"\0")):
            about, path = line.split(b"\t", 1)
            tag, mode, oid, stage = about.split(b" ")
            entries[path] = IndexEntry(mode, oid.decode(), stage == b"0", tag == _SKIPPED)
        return entries

    def conversions(self) -> dict[str, str]:
        """Settings by which Git writes files here: line ends, links, modes."""
        found = {name: users_setting(self.folder, name) for name in _CONVERSIONS}
        return {name: value for name, value in found.items() if value}

    def include(self, paths: Sequence[bytes]) -> None:
        """Let a sparse checkout have these paths. Raises GitFailed."""
        if paths:
            stdin = b"".join(path + b"\0" for path in paths)
            self.git("update-index", "--no-skip-worktree", "-z", "--stdin", stdin=stdin)

    def git(self, *args: str, stdin: bytes = b"") -> bytes:
        """Call Git in it, hardened. Raises GitFailed."""
        return run(args, cwd=self.top or self.git_dir, stdin=stdin)


def open_users_repository(folder: Path) -> UsersRepository:
    """Find the repository that a folder is in. Raises InvalidInput."""
    folder = folder.absolute()
    if not folder.is_dir():
        raise InvalidInput(f"repository {str(folder)!r}: is not a folder")
    try:
        words = ["rev-parse", "--is-bare-repository", "--is-inside-work-tree", "--show-object-format"]
        bare, inside, names = run(words, cwd=folder).decode().split()
        git_dir = _path(folder, "--absolute-git-dir")
        common = folder / _path(folder, "--git-common-dir")
    except GitFailed:
        raise InvalidInput(
            f"repository {str(folder)!r}: is in no Git repository; name yours with --repo"
        ) from None
    if names != "sha1":
        raise InvalidInput(
            f"repository {str(folder)!r}: only repositories with SHA-1 object names can be used"
        )
    if bare == "false" and inside == "false":
        raise InvalidInput(f"repository {str(folder)!r}: is inside .git; name the folder above it")
    top = _path(folder, "--show-toplevel") if inside == "true" else None
    return UsersRepository(folder, git_dir, common.resolve(), top)


def _path(folder: Path, question: str) -> Path:
    return Path(os.fsdecode(run(["rev-parse", question], cwd=folder).removesuffix(b"\n")))
