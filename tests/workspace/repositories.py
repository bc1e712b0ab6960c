"""A repository with everything that could get lost on the way into a workspace and back."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from artifacts import create_store
from artifacts.store.importing import import_base
from artifacts.store.repository import Repository
from artifacts.trees.git_trees import GitTrees
from contracts.ports.trees import TreeBase
from sandbox_runner.engine.payload import UNPRIVILEGED
from tests.artifacts.builders import git

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
ATTRIBUTES = b"""\
* text=auto
*.bat text eol=crlf
*.sh text eol=lf
*.bin filter=lfs diff=lfs merge=lfs -text
*.utf16 text working-tree-encoding=UTF-16LE
*.id ident
"""
FILES: dict[bytes, tuple[str, bytes]] = {
    b".gitattributes": ("100644", ATTRIBUTES),
    b".gitignore": ("100644", b"*.log\nbuild/\n"),
    b"a.txt": ("100644", b"one\ntwo\n"),
    b"bom.txt": ("100644", b"\xef\xbb\xbftext without an end"),
    b"crlf.txt": ("100644", b"one\r\ntwo\r\n"),
    b"crlf.sh": ("100644", b"echo one\r\n"),
    b"mixed.bat": ("100644", b"one\r\ntwo\n"),
    b"latin1.txt": ("100644", "grüße\n".encode("latin-1")),
    b"wide.utf16": ("100644", "grüße\n".encode("utf-16-le")),
    b"dollar.id": ("100644", b"$Id$ and $Id: kept $\n"),
    b"big.bin": ("100644", LFS_POINTER),
    b"empty": ("100644", b""),
    b"null\x01.bin": ("100644", bytes(range(256))),
    b"run.sh": ("100755", b"#!/bin/sh\necho ran\n"),
    b"deep/er/file.py": ("100644", b"x = 1\n"),
    b"deep/other.py": ("100644", b"y = 1\n"),
    b"time 12:30.txt": ("100644", b"colon\n"),
    b"back\\slash": ("100644", b"\\\n"),
    b"new\nline": ("100644", b"n\n"),
    b"latin\xff": ("100644", b"name\n"),
    b"trailing. ": ("100644", b"t\n"),
    b"Twin": ("100644", b"upper\n"),
    b"twin": ("100644", b"lower\n"),
    "é".encode(): ("100644", b"nfd\n"),
    b"link": ("120000", b"a.txt"),
    b"dangling": ("120000", b"nowhere/at/all"),
    b"absolute": ("120000", b"/etc/passwd"),
    b"folder-link": ("120000", b"deep/er"),
}
SUBMODULE = b"vendored"


class Project:
    """A store with the commit of such a repository, and checkouts of it in a folder of its own."""

    def __init__(self, place: Path) -> None:
        # Sandboxes enter it as another user.
        place.chmod(0o755)
        self.store = Repository(create_store(place / "store.git"))
        self.commit = import_base(self.store, _source(place / "source"))
        self.trees = trees(self.store, place / "cache")
        self.base = TreeBase(self.commit)
        self.tree = self.store.objects.commit(self.commit).tree

    def listed(self, tree: str) -> dict[bytes, tuple[bytes, str]]:
        """Path -> (mode, object) of a tree."""
        return {path: tuple(entry) for path, entry in self.store.objects.walk(tree)}  # type: ignore[misc]

    def changed(self, tree: str) -> dict[bytes, bytes | None]:
        """Path -> new content of what differs from the base; None for what is gone."""
        found = {}
        for path, _, new in self.store.objects.diff(self.tree, tree):
            blob = self.store.objects.read(new.oid) if new else None
            found[path] = blob.content if blob else None
        return found


def trees(store: Repository, cache: Path, **options: int) -> GitTrees:
    """Checkouts whose files belong to the programs of this process's sandboxes."""
    return GitTrees(store, cache, owner=None if os.geteuid() else UNPRIVILEGED, **options)


def _source(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    first = _commit(folder, {b"a.txt": ("100644", b"one\n")}, "first")
    git(folder, "tag", "light", first)
    git(folder, "tag", "-a", "-m", "a version", "v1.0", first)
    second = _commit(folder, FILES, "second", parent=first)
    git(folder, "tag", "elsewhere", _commit(folder, {}, "beside"))
    git(folder, "update-ref", "refs/heads/main", second)
    (folder / ".git/hooks").mkdir(exist_ok=True)
    hook = folder / ".git/hooks/post-checkout"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    return folder


def _commit(folder: Path, files: dict[bytes, tuple[str, bytes]], message: str, parent: str = "") -> str:
    entries = b""
    for path, (mode, content) in files.items():
        oid = git(folder, "hash-object", "-w", "--stdin", "--no-filters", stdin=content)
        entries += b"%s %s\t%s\0" % (mode.encode(), oid.encode(), path)
    if parent:
        entries += b"160000 %s\t%s\0" % (hashlib.sha1(b"other").hexdigest().encode(), SUBMODULE)
    git(folder, "read-tree", "--empty")
    git(folder, "-c", "core.protectNTFS=false", "update-index", "-z", "--index-info", stdin=entries)
    tree = git(folder, "write-tree")
    return git(folder, "commit-tree", tree, "-m", message, *(["-p", parent] if parent else []))


def show(folder: Path, *args: str) -> bytes:
    """What plain git prints, as bytes."""
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, check=True).stdout
