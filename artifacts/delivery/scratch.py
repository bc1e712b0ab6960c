"""A repository for the time of one call: it sees the objects of both sides and has no settings of either.

So no filter, hook, merge driver or monitor can be named in it, whatever the attributes of a tree say.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from artifacts.delivery.users_repository import UsersRepository
from artifacts.git.objects import TreeEntry
from artifacts.git.process import GitFailed, run


class Scratch:
    """Such a repository over the user's work tree; `stage` is a folder beside it."""

    def __init__(self, folder: Path, top: Path) -> None:
        self.git_dir, self.stage = folder / "git", folder / "stage"
        self._top = top

    def set_index(self, entries: Mapping[bytes, TreeEntry]) -> None:
        """Replace Git's index of the work tree by these entries."""
        (self.git_dir / "index").unlink(missing_ok=True)
        lines = [b"%s %s 0\t%s\0" % (one.mode, one.oid.encode(), path) for path, one in entries.items()]
        self._git("update-index", "-z", "--index-info", stdin=b"".join(lines))

    def differing(self) -> frozenset[bytes]:
        """Paths of the index that the work tree has otherwise, or not at all."""
        try:
            self._git("update-index", "-q", "--refresh")
        except GitFailed as error:
            # It ends with 1 where a file differs, as it may.
            if error.returncode != 1:
                raise
        listed = self._git("diff-files", "-z", "--name-only")
        return frozenset(filter(None, listed.split(b"\0")))

    def write(self, paths: Sequence[bytes]) -> None:
        """Write files of the index below `stage`, as Git would write them to the work tree."""
        prefix = f"--prefix={self.stage}/"
        stdin = b"".join(path + b"\0" for path in paths)
        self._git("checkout-index", "--quiet", "-z", "--stdin", prefix, stdin=stdin)

    def _git(self, *args: str, stdin: bytes = b"") -> bytes:
        words = ["-c", "core.bare=false", f"--work-tree={self._top}", *args]
        return run(words, git_dir=self.git_dir, cwd=self._top, stdin=stdin)


@contextmanager
def scratch_over(user: UsersRepository, top: Path, store: Path) -> Iterator[Scratch]:
    """Make one for the user's repository and a store; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="multi-agent-apply-") as name:
        scratch = Scratch(Path(name), top)
        scratch.stage.mkdir()
        git = scratch.git_dir
        run(["init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(git)])
        (git / "info").mkdir(exist_ok=True)
        others = (user.objects, store / "objects")
        (git / "objects/info/alternates").write_bytes(b"".join(os.fsencode(one) + b"\n" for one in others))
        own = user.common_dir / "info/attributes"
        if own.is_file():
            shutil.copyfile(own, git / "info/attributes")
        for name_, value in user.conversions().items():
            run(["config", name_, value], git_dir=git)
        yield scratch
