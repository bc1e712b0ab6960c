"""A tree with changes over it."""

from __future__ import annotations

from agents.sdk.changed_tree import ChangedTree, is_changed, over_commit, read_at_most
from agents.testing.validation import merged_tree
from artifacts import GitArtifactStore
from tests.artifacts.builders import outcome


def test_changes_lie_over_the_tree_in_its_order() -> None:
    tree = ChangedTree({"a": b"1", "b": b"2", "c": b"3"}, {"b": None, "c": b"4", "d": b"5", "none": None})
    assert list(tree.items()) == [("a", b"1"), ("c", b"4"), ("d", b"5")]
    assert ("b" in tree, len(tree), tree.get("none")) == (False, 3, None)


def test_changes_over_changes_are_changes_of_the_first_tree() -> None:
    first = merged_tree({"a": b"1", "b": b"2"}, {"a": None, "b": "ä"})
    second = merged_tree(first, {"a": b"3", "b": None})
    assert dict(second) == {"a": b"3"}
    assert second.base == {"a": b"1", "b": b"2"}
    assert over_commit(second) is None


async def test_of_a_commit_it_is_known_what_is_changed(store: GitArtifactStore) -> None:
    [one] = await store.write([outcome("t1", {"same": b"s", "other": b"1", "gone": b"g"})])
    [two] = await store.write([outcome("t2", {"same": b"s", "other": b"2", "new": b"n"})])
    old, new = await store.open_tree(one), await store.open_tree(two)
    paths = ("same", "other", "gone", "new", "never")
    assert [path for path in paths if is_changed(path, old, new)] == ["other", "gone", "new"]
    over = ChangedTree(new, {"other": b"1", "same": b"x"})
    assert [path for path in paths if is_changed(path, old, over)] == ["same", "gone", "new"]
    assert over_commit(over) == (new, over.changes)


async def test_a_large_content_is_not_read(store: GitArtifactStore) -> None:
    [commit] = await store.write([outcome("t1", {"large": b"12345", "small": b"1"})])
    tree = ChangedTree(await store.open_tree(commit), {"new": b"12345"})
    found = {path: read_at_most(tree, path, 4) for path in tree}
    assert found == {"large": None, "small": b"1", "new": None}
