"""What a workflow changed, as text that Git takes, and file by file. Blocking.

It is read in the store, where no filter, no textconv and no external program for differences is configured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from artifacts.git.process import run
from artifacts.store.repository import Repository
from contracts.base.refs import METADATA_FOLDER

EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""What work that starts from nothing is compared with; Git knows it without having it."""
_COMPARE: Final = ("diff", "--no-ext-diff", "--no-textconv", "--no-color")


class DiffForm(StrEnum):
    """How a difference is shown."""

    PATCH = "patch"
    STAT = "stat"
    NAMES = "names"


_OPTIONS: Final = {
    DiffForm.PATCH: ("--binary", "--find-renames"),
    DiffForm.STAT: ("--stat=80",),
    DiffForm.NAMES: ("--name-only",),
}


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that differs."""

    path: str
    status: str
    """`A` added, `M` changed, `D` deleted, `T` of another kind."""
    added: int | None
    """Lines; None in a binary file."""
    deleted: int | None


def difference(
    repository: Repository, base: str | None, commit: str, form: DiffForm, paths: Sequence[str] = ()
) -> bytes:
    """What Git prints of the difference between a commit and its base, None for nothing.

    paths: what it is limited to, from the root of the tree, as Git takes them.

    Raises ArtifactError for what the store does not hold, or paths that Git refuses.
    """
    return _compare(repository, base, commit, *_OPTIONS[form], paths=paths)


def changed_files(repository: Repository, base: str | None, commit: str) -> list[ChangedFile]:
    """Each file that differs, in the order of their paths. Raises ArtifactError."""
    status = _compare(repository, base, commit, "--no-renames", "--name-status", "-z").split(b"\0")
    kinds = dict(zip(status[1::2], status[::2], strict=False))
    counted = _compare(repository, base, commit, "--no-renames", "--numstat", "-z").split(b"\0")
    return list(_files(kinds, counted))


def _compare(
    repository: Repository, base: str | None, commit: str, *options: str, paths: Sequence[str] = ()
) -> bytes:
    repository.ensure([commit] if base is None else [base, commit])
    words = [*_COMPARE, *options, base or EMPTY_TREE, commit, "--", *paths]
    return run([*words, f":(exclude,literal){METADATA_FOLDER}"], git_dir=repository.git_dir)


def _files(kinds: dict[bytes, bytes], counted: Sequence[bytes]) -> Iterator[ChangedFile]:
    for line in filter(None, counted):
        added, deleted, path = line.split(b"\t", 2)
        name = path.decode("utf-8", "backslashreplace")
        yield ChangedFile(name, kinds[path].decode(), _number(added), _number(deleted))


def _number(text: bytes) -> int | None:
    return None if text == b"-" else int(text)
