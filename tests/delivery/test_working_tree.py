"""A workflow's changes come into a working tree of any kind, or leave it the same to the byte."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.delivery.differences import DiffForm, changed_files, difference
from artifacts.delivery.placing import Placing
from artifacts.delivery.users_repository import open_users_repository
from artifacts.delivery.working_tree import apply_to_tree
from contracts.base.errors import InvalidInput, MergeConflict
from tests.artifacts.builders import commit_all, git
from tests.delivery.conftest import LONG, Scene, photograph

CHANGED = LONG.replace(b"line 3\n", b"line three\n")


def is_applied(top: Path) -> bool:
    """Whether everything that the workflow changed is there, as it made it."""
    assert (top / "long.txt").read_bytes() == CHANGED
    assert (top / "crlf.txt").read_bytes() == b"one\r\n2\r\n"
    assert (top / "data.bin").read_bytes() == b"\0\3\4"
    assert (top / "new/file.py").read_bytes() == b"x = 1\n"
    assert os.readlink(top / "link") == "new/file.py"
    assert (top / "tool.sh").stat().st_mode & 0o111
    return not (top / "gone").exists()


def test_every_kind_of_change_arrives_and_nothing_is_staged(scene: Scene) -> None:
    applied = scene.apply()
    assert is_applied(scene.top)
    assert (len(applied.written), applied.deleted, applied.already) == (6, ("gone/only.txt",), 0)
    assert git(scene.top, "diff", "--cached", "--name-only") == ""
    git(scene.top, "add", "-A")
    assert git(scene.top, "write-tree") == git(scene.repository.git_dir, "rev-parse", "work^{tree}")


def test_a_second_time_there_is_nothing_to_do(scene: Scene) -> None:
    scene.apply()
    before = photograph(scene.top)
    again = scene.apply()
    assert (again.written, again.deleted, again.already) == ((), (), 7)
    assert photograph(scene.top) == before


def test_commits_and_changes_of_the_user_elsewhere_stay(scene: Scene) -> None:
    scene.write({"long.txt": LONG.replace(b"line 25\n", b"mine\n")})
    commit_all(scene.top, "mine")
    scene.write({"other.txt": b"not committed\n", "untracked.txt": b"x"})
    scene.apply()
    assert (scene.top / "long.txt").read_bytes() == CHANGED.replace(b"line 25\n", b"mine\n")
    assert (scene.top / "other.txt").read_bytes() == b"not committed\n"
    assert (scene.top / "untracked.txt").exists()


def _edit(path: str, content: bytes) -> Callable[[Scene], object]:
    return lambda scene: scene.write({path: content})


def _stage(scene: Scene) -> None:
    scene.write({"long.txt": b"staged\n"})
    git(scene.top, "add", "long.txt")
    scene.write({"long.txt": LONG})


def _link_out(scene: Scene) -> None:
    outside = scene.top.parent / "outside"
    outside.mkdir()
    (scene.top / "new").symlink_to(outside)


@pytest.mark.parametrize(
    ("touch", "named"),
    [
        (_edit("long.txt", b"mine\n"), "long.txt"),
        (_edit("gone/only.txt", b"mine\n"), "gone/only.txt"),
        (_edit("new/file.py", b"mine\n"), "new/file.py"),
        (_edit("new", b"a file\n"), "new"),
        (_edit("new/file.py/deep", b"a folder\n"), "new/file.py/deep"),
        (lambda scene: (scene.top / "data.bin").unlink(), "data.bin"),
        (lambda scene: (scene.top / "tool.sh").write_bytes(b"#!/bin/bash\n"), "tool.sh"),
        (_stage, "long.txt"),
        (_link_out, "new"),
    ],
    ids=["edited", "deleted", "untracked", "file", "folder", "missing", "mode", "staged", "link"],
)
def test_what_is_not_committed_is_named_and_nothing_changes(
    scene: Scene, touch: Callable[[Scene], object], named: str
) -> None:
    touch(scene)
    before = photograph(scene.top)
    with pytest.raises(InvalidInput, match=f"not committed in {named};"):
        scene.apply()
    assert photograph(scene.top) == before


def test_the_same_lines_are_a_conflict_and_nothing_changes(scene: Scene) -> None:
    scene.write({"long.txt": LONG.replace(b"line 3\n", b"third\n"), "data.bin": b"\0\7"})
    (scene.top / "gone/only.txt").write_bytes(b"wanted\n")
    commit_all(scene.top, "mine")
    before = photograph(scene.top)
    with pytest.raises(MergeConflict, match=r"as data.bin, gone/only.txt, long.txt; nothing"):
        scene.apply()
    assert photograph(scene.top) == before


def test_what_fails_in_the_middle_is_undone(scene: Scene) -> None:
    stage = scene.top.parent / "room/stage"
    (stage / "new/deep").mkdir(parents=True)
    for name in ("long.txt", "link", "new/deep/file"):
        (stage / name).write_bytes(b"other\n")
    before = photograph(scene.top)
    new = [b"long.txt", b"link", b"new/deep/file", b"missing"]
    with pytest.raises(FileNotFoundError), Placing(scene.top, stage) as placing:
        placing.place([b"gone/only.txt", b"tool.sh"], new)
    assert photograph(scene.top) == before
    assert not (scene.top / "new").exists()


def test_nothing_is_written_through_a_link_of_the_work_and_no_file_of_the_user_goes(scene: Scene) -> None:
    stage, outside = scene.top.parent / "room/stage", scene.top.parent / "outside"
    name = f".multi-agent-{os.getpid()}.tmp"
    (stage / "sub").mkdir(parents=True)
    outside.write_bytes(b"mine\n")
    (stage / name).symlink_to(outside)
    for path in ("long.txt", "sub/file"):
        (stage / path).write_bytes(b"other\n")
    scene.write({f"sub/{name}": b"mine too\n"})
    with Placing(scene.top, stage) as placing:
        placing.place([], [name.encode(), b"long.txt", b"sub/file"])
    assert outside.read_bytes() == b"mine\n"
    assert (scene.top / name).readlink() == outside
    assert (scene.top / "long.txt").read_bytes() == (scene.top / "sub/file").read_bytes() == b"other\n"
    assert sorted(path.name for path in (scene.top / "sub").iterdir()) == [name, "file"]


def test_it_works_from_a_subfolder_and_with_a_detached_head(scene: Scene) -> None:
    git(scene.top, "checkout", "-q", "--detach")
    (scene.top / "sub").mkdir()
    scene.apply(scene.top / "sub")
    assert is_applied(scene.top)


def test_it_works_in_a_linked_work_tree(scene: Scene) -> None:
    git(scene.top, "worktree", "add", "-q", "-b", "side", str(scene.top.parent / "side"))
    scene.apply(scene.top.parent / "side")
    assert is_applied(scene.top.parent / "side")
    assert git(scene.top, "status", "--porcelain") == ""


def test_a_sparse_checkout_gets_the_paths_of_the_change(scene: Scene) -> None:
    git(scene.top, "sparse-checkout", "set", "--no-cone", "/other.txt")
    assert not (scene.top / "long.txt").exists()
    scene.apply()
    assert is_applied(scene.top)
    assert "D gone/only.txt" in git(scene.top, "status", "--porcelain")
    assert "other.txt" not in git(scene.top, "status", "--porcelain")


def test_a_bare_repository_is_refused(scene: Scene) -> None:
    bare = scene.top.parent / "bare.git"
    git(scene.top, "clone", "-q", "--bare", str(scene.top), str(bare))
    with pytest.raises(InvalidInput, match="without a working tree; use --branch NAME"):
        scene.apply(bare)


def test_line_ends_are_as_the_users_git_writes_them(scene: Scene) -> None:
    git(scene.top, "config", "core.autocrlf", "true")
    scene.write({".git/info/attributes": b"*.bin -text\n"})
    git(scene.top, "rm", "-q", "--cached", "-r", ".")
    git(scene.top, "reset", "-q", "--hard")
    assert b"\r\n" in (scene.top / "long.txt").read_bytes()
    scene.apply()
    assert (scene.top / "long.txt").read_bytes() == CHANGED.replace(b"\n", b"\r\n")
    assert git(scene.top, "diff", "--numstat", "--", "long.txt").split() == ["1", "1", "long.txt"]


def test_nothing_that_is_configured_runs(scene: Scene, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    tell = f"touch '{marker}'; cat"
    for name in ("filter.x.clean", "filter.x.smudge", "diff.x.textconv", "merge.x.driver", "core.fsmonitor"):
        git(scene.top, "config", name, tell)
    for name in ("post-checkout", "post-index-change", "reference-transaction", "post-merge"):
        hook = scene.top / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
        hook.chmod(0o755)
    scene.write({".gitattributes": b"* filter=x diff=x merge=x\n"})
    os.utime(scene.top / "long.txt", (1, 1))
    scene.apply()
    assert is_applied(scene.top)
    assert not marker.exists()


def test_work_from_nothing_comes_into_a_repository_without_commits(scene: Scene, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q")
    apply_to_tree(scene.repository, None, scene.commit, open_users_repository(fresh))
    assert is_applied(fresh)


def test_folders_without_a_repository_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is in no Git repository; name yours with --repo"):
        open_users_repository(tmp_path)


def test_a_patch_is_what_git_takes(scene: Scene) -> None:
    patch = difference(scene.repository, scene.base, scene.commit, DiffForm.PATCH)
    subprocess.run(["git", "apply", "--index"], cwd=scene.top, input=patch, check=True)
    assert is_applied(scene.top)
    assert git(scene.top, "write-tree") == git(scene.repository.git_dir, "rev-parse", "work^{tree}")
    names = difference(scene.repository, scene.base, scene.commit, DiffForm.NAMES, ["new", "data.bin"])
    assert names == b"data.bin\nnew/file.py\n"
    files = {one.path: one for one in changed_files(scene.repository, scene.base, scene.commit)}
    assert [files["data.bin"].added, files["long.txt"].added, files["gone/only.txt"].status] == [None, 1, "D"]
