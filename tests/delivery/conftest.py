"""A user's repository, and what a workflow made of it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from artifacts import create_store
from artifacts.delivery.users_repository import open_users_repository
from artifacts.delivery.working_tree import Applied, apply_to_tree
from artifacts.store.importing import import_base
from artifacts.store.repository import Repository
from tests.artifacts.builders import commit_all, git

LONG = b"".join(b"line %d\n" % number for number in range(30))


class Scene:
    """A clone with files of every kind, and a store in which each of them was changed."""

    def __init__(self, folder: Path) -> None:
        self.top = folder / "clone"
        self.top.mkdir()
        git(self.top, "init", "-q", "-b", "main")
        self.write(
            {
                "long.txt": LONG,
                "crlf.txt": b"one\r\ntwo\r\n",
                "data.bin": b"\0\1\2",
                "gone/only.txt": b"x\n",
                "tool.sh": b"#!/bin/sh\n",
                "other.txt": b"mine\n",
            }
        )
        (self.top / "link").symlink_to("long.txt")
        self.base = commit_all(self.top, "base")
        self.repository = Repository(create_store(folder / "store.git"))
        import_base(self.repository, self.top)
        self.commit = self._work(folder / "work")
        self.repository.close()

    def copied(self, folder: Path) -> Scene:
        """The same in another folder."""
        twin = copy.copy(self)
        for name in ("clone", "store.git"):
            shutil.copytree(self.top.parent / name, folder / name, symlinks=True)
        git(folder / "clone", "status")
        twin.top, twin.repository = folder / "clone", Repository(folder / "store.git")
        return twin

    def _work(self, folder: Path) -> str:
        """What agents did, in a clone of the store."""
        git(folder.parent, "clone", "-q", str(self.top), str(folder))
        (folder / "long.txt").write_bytes(LONG.replace(b"line 3\n", b"line three\n"))
        (folder / "crlf.txt").write_bytes(b"one\r\n2\r\n")
        (folder / "data.bin").write_bytes(b"\0\3\4")
        (folder / "gone/only.txt").unlink()
        (folder / "tool.sh").chmod(0o755)
        (folder / "link").unlink()
        (folder / "link").symlink_to("new/file.py")
        (folder / "new").mkdir()
        (folder / "new/file.py").write_bytes(b"x = 1\n")
        commit = commit_all(folder, "work")
        git(self.repository.git_dir, "fetch", "-q", str(folder), f"{commit}:refs/heads/work")
        return commit

    def write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def apply(self, folder: Path | None = None) -> Applied:
        user = open_users_repository(folder or self.top)
        return apply_to_tree(self.repository, self.base, self.commit, user)


@pytest.fixture(scope="session")
def first_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def scene(first_scene: Scene, tmp_path: Path) -> Iterator[Scene]:
    made = first_scene.copied(tmp_path)
    yield made
    made.repository.close()


def photograph(top: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in a working tree: modes, links, contents; and what Git's index has."""
    shown = {}
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if name.split("/", maxsplit=1)[0] == ".git":
            continue
        mode = path.lstat().st_mode
        content = b""
        if path.is_symlink():
            content = str(path.readlink()).encode()
        elif path.is_file():
            content = path.read_bytes()
        shown[name] = (mode, content)
    shown["index"] = (0, git(top, "ls-files", "-s").encode())
    return shown
