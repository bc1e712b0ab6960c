"""Makes the folders of a workspace: a tree's files, a commit's `.git`, and Git's index of both.

Every file is as in Git to the byte: no attribute of the repository converts line ends or encodings, and no
filter runs. All have one time, so that Git inside sees at once that a file is unchanged.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from artifacts.git.process import GitFailed, run
from artifacts.git.ref_names import commit_name
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError, InvalidInput
from contracts.base.refs import TAGGED

_TIME: Final = 1_000_000_000
"""Of all files, in seconds since 1970."""
_ATTRIBUTES: Final = "* -text -eol -ident -filter -working-tree-encoding\n"
_CONFIG: Final = """\
[core]
\trepositoryFormatVersion = 0
\tbare = false
\tlogAllRefUpdates = false
\ttrustctime = false
\tcheckStat = minimal
\tautocrlf = false
[gc]
\tauto = 0
[advice]
\tdetachedHead = false
[user]
\tname = multi-agent
\temail = agent@multi-agent.invalid
"""


class Maker:
    """Makes folders. Blocking. Raises ArtifactError for what the store does not hold.

    owner: the user id that gets the files, None for that of this process.
    """

    def __init__(self, repository: Repository, owner: int | None) -> None:
        self._repository = repository
        self._owner = owner

    def file_count(self, tree: str) -> int:
        """Count the files of a tree. Raises ArtifactError when there is no such tree."""
        try:
            listed = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree)
        except GitFailed:
            raise ArtifactError(f"the store holds no readable tree {tree}") from None
        return listed.count(b"\0")

    def tree(self, tree: str, folder: Path) -> None:
        """Write the files of a tree."""
        draft = folder.with_name("draft.git")
        self._begin(draft)
        try:
            self._check_out(draft, folder, "read-tree", tree)
            self._check_out(draft, folder, "checkout-index", "--all", "--quiet")
        except GitFailed as error:
            raise InvalidInput(f"tree {tree}: cannot be written to a folder: {error}") from None
        finally:
            shutil.rmtree(draft)
        self._finish(folder)

    def tree_like(self, tree: str, other: Path, its_index: Path, folder: Path) -> None:
        """Write the files of a tree that differs little from the one in another such folder.

        its_index: Git's index of that one.
        """
        _copy(other, folder)
        draft = folder.with_name("draft.git")
        self._begin(draft)
        shutil.copyfile(its_index / ".git/index", draft / "index")
        try:
            self._check_out(draft, folder, "read-tree", "--reset", "-u", tree)
        except GitFailed as error:
            raise InvalidInput(f"tree {tree}: cannot be written to a folder: {error}") from None
        finally:
            shutil.rmtree(draft)
        self._finish(folder)

    def history(self, commit: str, folder: Path, without: str = "") -> None:
        """Write `.git` with a commit, what it follows from, and the tags in it.

        without: a commit that it follows from, whose own history is left out.
        """
        git = folder / ".git"
        tags = self._tags(commit)
        for name in ("objects/pack", "objects/info", "refs/heads", "refs/tags", "info"):
            (git / name).mkdir(parents=True, mode=0o755)
        names = [*dict.fromkeys((commit, *tags.values())), *([f"^{without}"] if without else [])]
        wanted = "".join(f"{name}\n" for name in names)
        pack = ["pack-objects", "--quiet", "--revs", "--delta-base-offset", str(git / "objects/pack/pack")]
        self._git(*pack, stdin=wanted.encode())
        (git / "HEAD").write_text(f"{commit}\n", "ascii")
        (git / "config").write_text(_CONFIG, "ascii")
        (git / "info/attributes").write_text(_ATTRIBUTES, "ascii")
        packed = "".join(f"{target} refs/tags/{name}\n" for name, target in sorted(tags.items()))
        (git / "packed-refs").write_text(f"# pack-refs with: \n{packed}", "utf-8")
        if (shallow := self._repository.git_dir / "shallow").exists():
            shutil.copyfile(shallow, git / "shallow")
        self._finish(folder)

    def index(self, commit: str, files: Path, folder: Path, known: Path | None = None) -> None:
        """Write Git's index of a commit, over the files of that tree or of another.

        known: Git's index of a commit that differs little, which knows most of these files.
        """
        draft, git = folder.with_name("draft.git"), folder / ".git"
        self._begin(draft)
        git.mkdir(mode=0o755)
        if known is not None:
            shutil.copyfile(known / ".git/index", draft / "index")
        try:
            self._check_out(draft, files, "read-tree", "--reset", commit)
            # It ends with 1 where the files differ from the commit, as they may.
            try:
                self._check_out(draft, files, "update-index", "-q", "--refresh")
            except GitFailed as error:
                if error.returncode != 1:
                    raise
            shutil.copyfile(draft / "index", git / "index")
        finally:
            shutil.rmtree(draft)
        self._finish(folder)
        # Later than the files, or Git would have to read each of them.
        os.utime(git / "index", (_TIME + 10, _TIME + 10))

    def _tags(self, commit: str) -> dict[str, str]:
        """Return the tags that a commit contains: name -> object."""
        listed = self._git("for-each-ref", f"--merged={commit_name(commit)}", "--format=%(refname)", TAGGED)
        refs = [line.removeprefix(f"{TAGGED}/") for line in listed.decode("utf-8", "replace").splitlines()]
        return {name: target for target, _, name in (ref.partition("/") for ref in refs)}

    def _begin(self, draft: Path) -> None:
        """Make a repository without a work tree of its own, which has the objects of the store."""
        run(["init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(draft)])
        (draft / "objects/info").mkdir(exist_ok=True)
        (draft / "objects/info/alternates").write_bytes(
            os.fsencode(self._repository.git_dir / "objects") + b"\n"
        )
        (draft / "info").mkdir(exist_ok=True)
        (draft / "info/attributes").write_text(_ATTRIBUTES, "ascii")
        with (draft / "config").open("a") as config:
            config.write("[core]\n\ttrustctime = false\n\tcheckStat = minimal\n")

    def _check_out(self, draft: Path, files: Path, *args: str) -> None:
        # What is made here can be made again.
        words = ["-c", "core.fsync=none", "-c", "core.bare=false", f"--work-tree={files}", *args]
        run(words, git_dir=draft, cwd=files)

    def _git(self, *args: str, stdin: bytes = b"") -> bytes:
        return run(args, git_dir=self._repository.git_dir, stdin=stdin)

    def _finish(self, folder: Path) -> None:
        """Give everything its time, owner and mode."""
        group = os.getegid() if self._owner is None else self._owner
        owner = -1 if self._owner is None else self._owner
        for path in (os.fsencode(folder), *_everything(os.fsencode(folder))):
            os.utime(path, (_TIME, _TIME), follow_symlinks=False)
            os.chown(path, owner, group, follow_symlinks=False)
            if not os.path.islink(path):
                mode = os.lstat(path).st_mode
                os.chmod(path, 0o755 if mode & 0o100 else 0o644)


def _copy(source: Path, target: Path) -> None:
    """Copy what is in a folder with modes, times and owners; where the file system can, blocks are shared."""
    words = ["cp", "-a", "--reflink=auto", "--", f"{source}/.", str(target)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise ArtifactError(f"a checkout cannot be copied: {done.stderr.decode('utf-8', 'replace').strip()}")


def _everything(folder: bytes) -> Iterator[bytes]:
    for here, folders, names in os.walk(folder):
        for name in (*folders, *names):
            yield os.path.join(here, name)
