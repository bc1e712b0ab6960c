"""Existing repositories: brought in as they are, handed out as Git repositories."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts import GitArtifactStore
from contracts.base.errors import ArtifactError, InvalidInput, UnsafePath
from contracts.ports.artifacts import RefMove
from tests.artifacts.builders import NOW, commit_all, git, outcome


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's repository with everything that is not a plain file, and hooks and filters that shout."""
    folder = tmp_path / "pro ject"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n')
    (folder / ".gitattributes").write_text("*.txt filter=shout\n")
    (folder / "data.txt").write_text("plain\n")
    (folder / "Twin").write_text("1")
    (folder / "twin").write_text("2")
    git(folder, "add", "-A")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "data.txt").write_text("plain\nmore\n")
    git(folder, "commit", "-q", "-m", "second", "data.txt")
    (folder / "uncommitted").write_text("dirty")
    return folder


def _entries(repository: Path, commit: str) -> dict[str, str]:
    rows = git(repository, "ls-tree", "-r", commit).splitlines()
    return {path: about for about, path in (row.split("\t") for row in rows)}


async def test_everything_is_carried_through_untouched(
    store: GitArtifactStore, other: GitArtifactStore, bare: Path, project: Path
) -> None:
    base = await store.import_base(project)
    assert base == git(project, "rev-parse", "HEAD")
    [left] = await other.write([outcome("t1", {"run.sh": b"#!/bin/sh\ntrue\n"}, (base,))])
    [right] = await other.write([outcome("t2", {"new": b""}, (base,))])
    [end] = await other.write([outcome("t3", {"data.txt": None}, (left, right))])
    before, after = _entries(project, base), _entries(bare, end)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert {path for path in changed if not path.startswith(".multi-agent/")} == {"run.sh", "new", "data.txt"}
    assert after["run.sh"].startswith("100755 ")
    assert after["link"].startswith("120000 ")
    assert after["sub"] == f"160000 commit {'1' * 40}"
    assert git(bare, "rev-list", "--count", base) == "2"


async def test_only_plain_files_are_read(local: GitArtifactStore, project: Path) -> None:
    files = await local.read_tree(await local.import_base(project))
    assert set(files) == {"run.sh", ".gitattributes", "data.txt", "Twin", "twin"}


@pytest.mark.parametrize("path", ["link", "sub"])
async def test_links_and_submodules_are_left_alone(local: GitArtifactStore, project: Path, path: str) -> None:
    base = await local.import_base(project)
    for content in (b"x", None):
        with pytest.raises(Exception, match="symbolic link or a submodule"):
            await local.write([outcome(files={path: content}, parents=(base,))])
    with pytest.raises(Exception, match="both a file and a folder"):
        await local.write([outcome(files={f"{path}/x": b""}, parents=(base,))])


async def test_a_shallow_source(
    store: GitArtifactStore, other: GitArtifactStore, project: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{project}", "shallow")
    base = await store.import_base(tmp_path / "shallow")
    [sha] = await other.write([outcome(files={"n": b""}, parents=(base,))])
    [two] = await other.write([outcome("t2", files={"m": b""}, parents=(base,))])
    merged = await store.merge([sha, two], subject="m", created_at=NOW)
    assert {"n", "m", "data.txt"} <= set(await store.read_tree(merged))
    clone = await other.checkout(sha, tmp_path / "out")
    assert git(clone, "log", "--format=%s").splitlines() == ["coder: do it", "second"]


async def test_another_revision(local: GitArtifactStore, project: Path) -> None:
    assert await local.import_base(project, "HEAD~1") == git(project, "rev-parse", "HEAD~1")


def _nothing(folder: Path) -> Path:
    return folder / "nowhere"


def _plain(folder: Path) -> Path:
    return folder


def _inside(folder: Path) -> Path:
    git(folder, "init", "-q")
    (folder / "inner").mkdir()
    (folder / "inner" / "x").touch()
    commit_all(folder)
    return folder / "inner"


def _unborn(folder: Path) -> Path:
    git(folder, "init", "-q")
    return folder


def _sha256(folder: Path) -> Path:
    git(folder, "init", "-q", "--object-format=sha256")
    (folder / "x").touch()
    commit_all(folder)
    return folder


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (_nothing, "is not a folder"),
        (_plain, "is no Git repository"),
        (_inside, "is a folder of the repository .*; use --repo "),
        (_unborn, "has no commit 'HEAD'"),
        (_sha256, "SHA-1"),
    ],
)
async def test_what_is_no_usable_repository(
    local: GitArtifactStore, tmp_path: Path, prepare: Callable[[Path], Path], told: str
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    with pytest.raises(InvalidInput, match=told):
        await local.import_base(prepare(folder))


@pytest.mark.parametrize("rev", ["--upload-pack=x", "nothing", "HEAD:data.txt", ""])
async def test_what_is_no_revision(local: GitArtifactStore, project: Path, rev: str) -> None:
    with pytest.raises(InvalidInput):
        await local.import_base(project, rev)


async def test_checkout_is_a_repository_with_history(
    store: GitArtifactStore, other: GitArtifactStore, project: Path, tmp_path: Path
) -> None:
    base = await store.import_base(project)
    [sha, foreign] = await store.write([outcome(files={"n": b"new"}, parents=(base,)), outcome("t2")])
    await store.publish([RefMove("w1", "t1", sha), RefMove("w1", "result", sha)])
    clone = await other.checkout("ai/generated/w1/result", tmp_path / "deep" / "out")
    assert (clone / "n").read_bytes() == b"new"
    assert (clone / "data.txt").read_text() == "plain\nmore\n"
    assert (clone / "run.sh").stat().st_mode & 0o111
    assert (clone / "link").is_symlink()
    assert git(clone, "rev-list", "--count", "HEAD") == "3"
    assert git(clone, "branch", "--show-current") == "ai/generated/w1/result"
    assert git(clone, "status", "--porcelain") == ""
    assert foreign not in git(clone, "cat-file", "--batch-all-objects", "--batch-check")


async def test_checkout_of_a_commit_and_of_nothing(local: GitArtifactStore, tmp_path: Path) -> None:
    [sha] = await local.write([outcome()])
    out = await local.checkout(sha, tmp_path / "out")
    assert git(out, "rev-parse", "artifacts") == sha
    with pytest.raises(InvalidInput, match="empty"):
        await local.checkout(sha, out)
    for branch in ("main", "ai/generated/w1/t9"):
        with pytest.raises(ArtifactError, match="no branch"):
            await local.checkout(branch, tmp_path / "other")
    for branch in ("--all", "a b", "x^{tree}", "..", "a\nb"):
        with pytest.raises(InvalidInput, match="full name"):
            await local.checkout(branch, tmp_path / "other")
    assert not (tmp_path / "other").exists()


async def test_names_that_cannot_be_seen_stay_and_are_never_made(
    local: GitArtifactStore, tmp_path: Path
) -> None:
    heart, hidden = "\u2764\ufe0f.md", "a\u200bb.md"
    folder = tmp_path / "source"
    folder.mkdir()
    git(folder, "init", "-q")
    for name in (heart, hidden, os.fsdecode(b"\xff.md")):
        (folder / name).write_text("as it was")
    commit_all(folder)
    base = await local.import_base(folder)
    assert await local.read_tree(base) == {heart: b"as it was"}
    assert (await local.survey(base)).names == ("\\xff.md", hidden)
    [changed] = await local.write([outcome(files={heart: b"new"}, parents=(base,))])
    assert (await local.read_tree(changed))[heart] == b"new"
    assert (await local.survey(changed)).names == ("\\xff.md", hidden)
    with pytest.raises(UnsafePath, match="U\\+FE0F cannot be seen"):
        await local.write([outcome(files={"new\ufe0f.md": b""}, parents=(base,))])


async def test_tags_that_the_commit_contains_come_along_once(
    store: GitArtifactStore, bare: Path, project: Path
) -> None:
    git(project, "tag", "light", "HEAD~1")
    git(project, "tag", "-a", "-m", "of the first", "annotated", "HEAD~1")
    git(project, "checkout", "-q", "-b", "beside")
    git(project, "commit", "-q", "--allow-empty", "-m", "beside")
    git(project, "tag", "elsewhere")
    git(project, "checkout", "-q", "main")
    for _ in range(2):
        await store.import_base(project)
    tags = {name: git(project, "rev-parse", name) for name in ("light", "annotated")}
    found = git(bare, "for-each-ref", "--format=%(objectname) %(refname)", "refs/tagged", "refs/tags")
    assert set(found.splitlines()) == {f"{oid} refs/tagged/{oid}/{name}" for name, oid in tags.items()}


async def test_a_tag_that_moved_is_another_one(store: GitArtifactStore, bare: Path, project: Path) -> None:
    git(project, "tag", "moving", "HEAD~1")
    await store.import_base(project)
    git(project, "tag", "-f", "moving", "HEAD")
    await store.import_base(project)
    assert len(git(bare, "for-each-ref", "refs/tagged").splitlines()) == 2
