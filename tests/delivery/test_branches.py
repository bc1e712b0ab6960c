"""A branch of the store comes into a user's repository, and none that is there is moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.delivery.branches import make_branch
from artifacts.delivery.users_repository import open_users_repository
from contracts.base.errors import InvalidInput
from tests.artifacts.builders import commit_all, fsck, git
from tests.delivery.conftest import Scene, photograph


def branch(scene: Scene, name: str, folder: Path | None = None) -> bool:
    user = open_users_repository(folder or scene.top)
    return make_branch(scene.repository, scene.base, scene.commit, user, name)


def test_the_branch_is_the_commit_and_nothing_else_changes(scene: Scene) -> None:
    before = photograph(scene.top)
    assert branch(scene, "work/slug")
    assert git(scene.top, "rev-parse", "work/slug") == scene.commit
    assert photograph(scene.top) == before
    assert git(scene.top, "branch", "--show-current") == "main"
    assert fsck(scene.top) == []
    assert not branch(scene, "work/slug"), "it is there already"


def test_a_bare_repository_gets_it_too(scene: Scene) -> None:
    bare = scene.top.parent / "bare.git"
    git(scene.top, "clone", "-q", "--bare", str(scene.top), str(bare))
    assert branch(scene, "slug", bare)
    assert git(bare, "rev-parse", "slug") == scene.commit


@pytest.mark.parametrize("name", ["main", "-x", "a..b", "a b", "x.lock", "@", "main/below", "@{-1}"])
def test_a_name_that_is_taken_or_none_is_refused(scene: Scene, name: str) -> None:
    before = git(scene.top, "for-each-ref")
    with pytest.raises(InvalidInput, match="branch"):
        branch(scene, name)
    assert git(scene.top, "for-each-ref") == before


def test_a_branch_that_is_there_is_said_to_be(scene: Scene) -> None:
    with pytest.raises(InvalidInput, match=f"is in .* already, at {scene.base}; choose another name"):
        branch(scene, "main")


def test_another_repository_is_refused(scene: Scene, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "a").write_text("a")
    commit_all(other)
    with pytest.raises(InvalidInput, match=f"does not have the commit {scene.base}"):
        branch(scene, "slug", other)
