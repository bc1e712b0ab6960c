"""Where lines of work parted, against what git says on random histories."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from artifacts.git.objects import Commit, ObjectReader
from artifacts.merge.history_graph import History, HistoryGraph
from artifacts.store.repository import Repository
from tests.artifacts.builders import NOW, commit_all, git, outcome


class _Counting(ObjectReader):
    """Knows which commits were asked for."""

    def __init__(self, git_dir: Path) -> None:
        super().__init__(git_dir)
        self.asked: set[str] = set()

    def commit(self, oid: str) -> Commit:
        self.asked.add(oid)
        return super().commit(oid)


@pytest.fixture
def reader(bare: Path) -> Iterator[_Counting]:
    made = _Counting(bare)
    yield made
    made.close()


def _grown(bare: Path, rows: Sequence[tuple[int, Sequence[int]]]) -> list[str]:
    """Empty commits, given by time and the positions of their parents."""
    stream = ""
    for mark, (when, parents) in enumerate(rows, start=1):
        stream += f"reset refs/x\ncommit refs/x\nmark :{mark}\ncommitter m <m@x> {when} +0000\ndata 0\n"
        words = ("from", *("merge" for _ in parents[1:]))
        stream += "".join(f"{word} :{parent + 1}\n" for word, parent in zip(words, parents, strict=False))
        stream += f"M 100644 inline f\ndata <<E\n{mark}\nE\n\n"
    stream += "".join(f"get-mark :{mark}\n" for mark in range(1, len(rows) + 1))
    return git(bare, "fast-import", "--quiet", "--date-format=raw", stdin=stream.encode()).split()


def _said(bare: Path, *words: str) -> list[str]:
    done = subprocess.run(["git", "merge-base", *words], cwd=bare, capture_output=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return sorted(done.stdout.decode().split())


@pytest.mark.parametrize("seed", range(12))
def test_what_git_says(bare: Path, reader: ObjectReader, seed: int) -> None:
    """Several roots, crossed lines, octopuses, and times that tell nothing."""
    chance = random.Random(seed)
    near = chance.choice([3, 8, 40])
    rows = [
        (
            NOW + number * 60 + chance.choice([0, 0, 0, -100_000, 100_000]),
            [] if chance.random() < 0.06 else _some(chance, range(max(0, number - near), number)),
        )
        for number in range(60)
    ]
    commits = _grown(bare, rows)
    history = History(bare, reader)
    for _ in range(12):
        tips = chance.sample(commits, chance.randint(2, 6))
        graph = HistoryGraph(history, tips)
        assert sorted(graph.independent) == _said(bare, "--independent", *tips)
        assert sorted(graph.bases) == _said(bare, "--octopus", "--all", *tips)
        joined: list[str] = []
        for tip in graph.independent:
            expected = _said(bare, "--all", tip, *joined) if joined else []
            assert graph.join(tip) == expected
            joined.append(tip)


def _some(chance: random.Random, parents: Sequence[int]) -> list[int]:
    return chance.sample(parents, min(len(parents), chance.choice([1, 1, 1, 2, 2, 3])))


@pytest.mark.parametrize("skew", [0, 10**8, -(10**8)])
def test_a_long_history_below_the_meeting_is_not_walked(bare: Path, reader: _Counting, skew: int) -> None:
    """Whether it was committed before or, as the clocks say, after what builds on it."""
    length = 5_000
    rows: list[tuple[int, list[int]]] = [(NOW + n * 60 + skew, [n - 1] if n else []) for n in range(length)]
    late = NOW + length * 60
    for line in (4, 40):
        first = len(rows)
        rows += [(late + n, [first + n - 1 if n else length - 1]) for n in range(line)]
    commits = _grown(bare, rows)
    tips = [commits[length + 3], commits[-1]]
    assert HistoryGraph(History(bare, reader), tips).join(tips[0]) == []
    assert HistoryGraph(History(bare, reader), tips).bases == [commits[length - 1]]
    assert len(reader.asked) < 200


def test_a_shallow_history_ends_where_it_was_cut(bare: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    for number in range(4):
        (source / "f").write_text(str(number))
        last = commit_all(source)
    git(tmp_path, "clone", "-q", "--depth=2", f"file://{source}", "shallow")
    git(bare, "fetch", "-q", "--update-shallow", str(tmp_path / "shallow"), "HEAD:refs/bases/x")
    repository = Repository(bare)
    ours, other = repository.commit(
        [repository.draft(outcome("a", parents=(last,))), repository.draft(outcome("root"))]
    )
    merged = repository.merge([ours, other], "m", NOW)
    assert {"f", "a.py", "root.py"} <= set(repository.read_tree(merged, 10_000))
    repository.close()
