"""Merges beyond two branches from one base."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from artifacts import GitArtifactStore
from artifacts.store.repository import MAX_PARENTS
from contracts.base.errors import MergeConflict
from tests.artifacts.builders import NOW, git, outcome


class Line:
    """Writes outcomes one after the other, each a task of its own."""

    def __init__(self, store: GitArtifactStore) -> None:
        self._store = store
        self._count = 0

    async def task(self, files: Mapping[str, bytes | None], *parents: str) -> str:
        self._count += 1
        [sha] = await self._store.write([outcome(f"n{self._count}", files, parents)])
        return sha

    async def merged(self, *parents: str) -> dict[str, bytes]:
        sha = await self._store.merge(parents, subject="m", created_at=NOW)
        files = await self._store.read_tree(sha)
        return {path: text for path, text in files.items() if not path.startswith(".")}


@pytest.fixture
def line(local: GitArtifactStore) -> Line:
    return Line(local)


async def test_a_parent_that_another_contains_does_not_count(line: Line, local: GitArtifactStore) -> None:
    one = await line.task({"a": b"1"})
    two = await line.task({"a": b"2"}, one)
    assert await local.merge([one, two, one], subject="m", created_at=NOW) == two
    assert await line.merged(two, one) == {"a": b"2"}


async def test_crossed_lines(line: Line) -> None:
    """Two bases: what one side undid on purpose stays undone."""
    a, b = await line.task({"a": b"a", "x": b"0"}), await line.task({"b": b"b"})
    left = await line.task({"l": b"l"}, a, b)
    right = await line.task({"a": None, "x": b"1"}, a, b)
    assert await line.merged(left, right) == {"b": b"b", "l": b"l", "x": b"1"}
    assert await line.merged(right, left) == {"b": b"b", "l": b"l", "x": b"1"}


async def test_a_dispute_that_was_settled_in_two_ways_is_a_conflict(line: Line) -> None:
    base = await line.task({"x": b"0"})
    a, b = await line.task({"x": b"a"}, base), await line.task({"y": b"b"}, base)
    left, right = await line.task({"x": b"l"}, a, b), await line.task({"x": b"r"}, a, b)
    with pytest.raises(MergeConflict, match="'x'"):
        await line.merged(left, right)
    same = await line.task({"x": b"l", "z": b"z"}, a, b)
    assert await line.merged(left, same) == {"x": b"l", "y": b"b", "z": b"z"}


async def test_changed_here_deleted_there(line: Line) -> None:
    base = await line.task({"x": b"0", "y": b"0"})
    changed, deleted = await line.task({"x": b"1"}, base), await line.task({"x": None}, base)
    with pytest.raises(MergeConflict, match="'x'"):
        await line.merged(changed, deleted)
    both = await line.task({"x": None, "z": b""}, base)
    assert await line.merged(deleted, both) == {"y": b"0", "z": b""}


@pytest.mark.parametrize(
    ("one", "two"), [({"a": b""}, {"a/b": b""}), ({"Read": b""}, {"read": b""}), ({"d/x": b""}, {"D/y": b""})]
)
async def test_names_that_clash_only_together(
    line: Line, one: dict[str, bytes | None], two: dict[str, bytes | None]
) -> None:
    shas = await line.task(one), await line.task(two)
    for parents in (shas, shas[::-1]):
        with pytest.raises(MergeConflict, match="task n1"):
            await line.merged(*parents)


async def test_equal_changes_agree(line: Line) -> None:
    base = await line.task({"x": b"0"})
    assert await line.merged(await line.task({"x": b"1"}, base), await line.task({"x": b"1"}, base)) == {
        "x": b"1"
    }


async def test_more_parents_than_one_commit_takes(local: GitArtifactStore, bare: Path) -> None:
    [base] = await local.write([outcome("t0", {"keep": b""})])
    count = 2 * MAX_PARENTS + 3
    shas = await local.write([outcome(f"f{i}", {f"d{i % 7}/f{i}": b"%d" % i}, (base,)) for i in range(count)])
    [all_of_them] = await local.write([outcome("end", {}, tuple(shas))])
    merged = await local.merge(shas, subject="m", created_at=NOW)
    for sha in (all_of_them, merged):
        paths = [path for path in await local.read_tree(sha) if path.startswith("d")]
        assert len(paths) == count
    assert git(bare, "merge-base", "--is-ancestor", shas[-1], merged) == ""
