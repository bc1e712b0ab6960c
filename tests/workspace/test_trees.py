"""Trees as folders and back, without a sandbox: what only the store can do wrong."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from artifacts.git.fast_import import FILE_MODE, SYMLINK_MODE, Draft, Drop, Put
from artifacts.store.remote_store import RemoteRepository
from contracts.base.errors import UnsafePath
from contracts.base.refs import SNAPSHOTS
from contracts.ports.trees import Checkout, TreeBase, TreeChanges, TreeFile
from tests.artifacts.builders import fsck, git
from tests.sandbox.probing import until
from tests.workspace.repositories import FILES, Project, show, trees

CHANGES = TreeChanges(("empty",), {"new": TreeFile(b"new\n", executable=True)})


async def test_a_checkout_is_used_by_two_at_a_time(project: Project) -> None:
    async with (
        project.trees.checkout(project.base, most_files=100) as one,
        project.trees.checkout(project.base, most_files=100) as other,
    ):
        assert one == other
        assert (one.layers[-1] / "run.sh").stat().st_mode & 0o777 == 0o755


def test_many_who_want_one_tree_get_it_from_any_loop(project: Project, tmp_path: Path) -> None:
    fresh = trees(project.store, tmp_path / "cache")

    async def look() -> int:
        async with fresh.checkout(project.base, most_files=100) as checkout:
            return checkout.file_count

    async def all_look() -> list[int]:
        return await asyncio.gather(*(look() for _ in range(6)))

    found = {*asyncio.run(all_look()), *asyncio.run(all_look())}
    assert len(found) == 1


async def test_a_cancelled_wait_holds_nothing(project: Project, tmp_path: Path) -> None:
    fresh = trees(project.store, tmp_path / "cache")

    async def look() -> None:
        async with fresh.checkout(project.base, most_files=100):
            pass

    asked = asyncio.create_task(look())
    await until("it is being made", (tmp_path / "cache").exists)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await until("all is made and free", lambda: len(_free(tmp_path / "cache")) == 3)


def _free(cache: Path) -> list[Path]:
    """The entries of a cache that nobody uses."""
    free = []
    for lock in cache.glob("[!.]*/lock"):
        with lock.open("rb") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(lock.parent)
    return free


async def test_git_need_not_read_the_files_again(project: Project) -> None:
    async with project.trees.checkout(project.base, most_files=100) as checkout:
        index = (checkout.layers[0] / ".git/index").stat().st_mtime
        times = {path.lstat().st_mtime for path in checkout.layers[-1].rglob("*")}
    assert len(times) == 1
    assert index > times.pop()


async def test_a_full_cache_gives_way(project: Project, tmp_path: Path) -> None:
    small = trees(project.store, tmp_path / "cache", cache_bytes=1)
    async with small.checkout(project.base, most_files=100) as checkout:
        assert all(layer.is_dir() for layer in checkout.layers)
    async with small.checkout(TreeBase(project.commit), most_files=100) as checkout:
        assert (checkout.layers[-1] / "a.txt").read_bytes() == FILES[b"a.txt"][1]


async def test_the_same_change_has_the_same_ref(project: Project) -> None:
    def refs() -> int:
        return len(show(project.store.git_dir, "for-each-ref", "refs/snapshots").splitlines())

    one = await project.trees.write_tree(project.tree, CHANGES)
    before = refs()
    assert await project.trees.write_tree(project.tree, CHANGES) == one
    assert refs() == before
    assert project.changed(one) == {b"empty": None, b"new": b"new\n"}
    assert project.listed(one)[b"new"][0] == b"100755"
    assert fsck(project.store.git_dir) == []


def _looked_at(folder: Path) -> dict[bytes, tuple[int, bytes]]:
    """Path -> mode and content of everything below."""
    found = {}
    for here, folders, names in os.walk(os.fsencode(folder)):
        for name in (*folders, *names):
            path = os.path.join(here, name)
            mode = os.lstat(path).st_mode
            content = os.readlink(path) if stat.S_ISLNK(mode) else b""
            if stat.S_ISREG(mode):
                content = Path(os.fsdecode(path)).read_bytes()
            found[os.path.relpath(path, os.fsencode(folder))] = (mode, content)
    return found


def _staged(project: Project, checkout: Checkout) -> bytes:
    """What Git's index of a checkout holds."""
    words = ["git", f"--git-dir={project.store.git_dir}", "ls-files", "--stage", "-z"]
    index = {**os.environ, "GIT_INDEX_FILE": str(checkout.layers[0] / ".git/index")}
    return subprocess.run(words, env=index, capture_output=True, check=True).stdout


async def test_a_commit_like_another_is_the_same_as_one_made_alone(project: Project, tmp_path: Path) -> None:
    """Only what differs is written: a whole history is kept once, and the other has its own commits alone."""
    changes = (
        Drop(b"deep/er/file.py"),
        Drop(b"Twin"),
        Put(b"a.txt", FILE_MODE, b"three\r\n"),
        Put(b"crlf.sh", b"100755", FILES[b"crlf.sh"][1]),
        Put(b"bom.txt", SYMLINK_MODE, b"a.txt"),
        Put(b"link", FILE_MODE, b"no link\n"),
        Put(b"folder-link/inside", FILE_MODE, b"i\n"),
        Put(b"wide2.utf16", FILE_MODE, "grüße".encode("utf-16-le")),
        Put(b"odd \xff", FILE_MODE, b""),
    )
    draft = Draft(f"{SNAPSHOTS}/next", (project.commit,), "t", 1_700_000_000, b"next\n", changes)
    [commit] = project.store.commit([draft])
    like, alone = trees(project.store, tmp_path / "like"), trees(project.store, tmp_path / "alone")
    async with like.checkout(project.base, most_files=100) as first:
        before = _looked_at(first.layers[-1])
        async with (
            like.checkout(TreeBase(commit), most_files=100) as found,
            alone.checkout(TreeBase(commit), most_files=100) as expected,
        ):
            assert _looked_at(found.layers[-1]) == _looked_at(expected.layers[-1]) != before
            assert (len(found.layers), len(expected.layers)) == (4, 3)
            assert found.layers[-2] == first.layers[-2]
            assert _staged(project, found) == _staged(project, expected)
            [own] = found.layers[1].glob(".git/objects/pack/*.pack")
            assert own.stat().st_size < 2_000
        assert _looked_at(first.layers[-1]) == before


@pytest.mark.parametrize("path", ["../x", ".git/config", "a:b", "sub/.GIT/hooks/x"])
async def test_no_unsafe_path_is_written(project: Project, path: str) -> None:
    with pytest.raises(UnsafePath):
        await project.trees.write_tree(project.tree, TreeChanges((), {path: TreeFile(b"")}))


async def test_old_snapshots_are_pruned(tmp_path: Path) -> None:
    project = Project(tmp_path)
    await project.trees.write_tree(project.tree, CHANGES)
    assert project.store.prune_pending(3_600) == 0
    assert project.store.prune_pending(-3_600) == 1
    project.store.close()


async def test_a_store_by_url_gives_and_takes_trees(project: Project, tmp_path: Path) -> None:
    store = RemoteRepository(f"file://{project.store.git_dir}", tmp_path / "clone")
    remote = trees(store, tmp_path / "cache")
    async with remote.checkout(project.base, most_files=100) as checkout:
        history = checkout.layers[1] / ".git"
        assert git(history, "tag").split() == ["light", "v1.0"]
    tree = await remote.write_tree(project.tree, TreeChanges((), {"far": TreeFile(b"away\n")}))
    assert project.changed(tree) == {b"far": b"away\n"}
    # The tree of a snapshot is found where it was not written.
    second = RemoteRepository(f"file://{project.store.git_dir}", tmp_path / "second")
    other = trees(second, tmp_path / "third")
    async with other.checkout(TreeBase(project.commit, tree), most_files=100) as checkout:
        assert (checkout.layers[-1] / "far").read_bytes() == b"away\n"
    for one in (store, second):
        one.close()
