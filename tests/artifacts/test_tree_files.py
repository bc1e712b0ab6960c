"""The files of a commit without their contents, and what differs between two commits."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts import GitArtifactStore, create_store
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError
from contracts.ports.trees import TreeFile
from tests.artifacts.builders import commit_all, git, outcome

ABSENT = "0123456789" * 4


async def test_a_tree_is_what_read_tree_reads(store: GitArtifactStore) -> None:
    [commit] = await store.write([outcome(files={"a.py": b"a", "b/c.py": b"c", "b/same.py": b"a"})])
    tree = await store.open_tree(commit)
    assert dict(tree) == await store.read_tree(commit)
    assert (tree.commit, len(tree)) == (commit, 3)
    assert tree.content_names["a.py"] == tree.content_names["b/same.py"] != tree.content_names["b/c.py"]
    assert "b" not in tree
    with pytest.raises(KeyError):
        tree["none.py"]


async def test_what_is_too_large_is_not_read_and_what_follows_is(store: GitArtifactStore) -> None:
    [commit] = await store.write([outcome(files={"large": b"x" * 100_000, "small": b"s"})])
    tree = await store.open_tree(commit)
    assert [tree.read("large", 99_999), tree.read("large", 100_000), tree.read("small", 1)] == [
        None,
        b"x" * 100_000,
        b"s",
    ]


async def test_an_absent_commit_is_an_error(store: GitArtifactStore) -> None:
    [commit] = await store.write([outcome()])
    for call in (store.open_tree(ABSENT), store.changes(commit, ABSENT, max_bytes=10)):
        with pytest.raises(ArtifactError):
            await call


async def test_a_content_that_is_gone_is_named(tmp_path: Path) -> None:
    repository = Repository(create_store(tmp_path / "s.git"))
    store = GitArtifactStore(repository)
    [commit] = await store.write([outcome(files={"a.py": b"a"})])
    tree = await store.open_tree(commit)
    name = tree.content_names["a.py"]
    repository.close()
    (tmp_path / "s.git/objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(ArtifactError, match=rf"'a\.py' of commit {commit} is missing .*{name}"):
        tree["a.py"]
    await store.close()


async def test_changes_have_contents_modes_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    git(tmp_path, "init", "-q", "s")
    files = {"kept": "k", "edited": "1", "gone/x": "x", "program": "p", "turns": "t"}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    old = commit_all(folder)
    (folder / "edited").write_text("2")
    (folder / "gone/x").unlink()
    (folder / "program").chmod(0o755)
    (folder / "turns").unlink()
    (folder / "turns").symlink_to("kept")
    (folder / "new").write_text("n")
    new = commit_all(folder)
    store = GitArtifactStore(Repository(create_store(tmp_path / "s.git")))
    for rev in (old, new):
        git(folder, "push", "-q", str(tmp_path / "s.git"), f"{rev}:refs/heads/{rev}")
    found = await store.changes(old, new, max_bytes=100)
    assert sorted(found.deleted) == ["gone/x", "program", "turns"]
    assert found.files == {
        "edited": TreeFile(b"2"),
        "new": TreeFile(b"n"),
        "program": TreeFile(b"p", executable=True),
        "turns": TreeFile(b"kept", is_link=True),
    }
    with pytest.raises(ArtifactError, match="larger than may be read"):
        await store.changes(old, new, max_bytes=6)
    await store.close()
