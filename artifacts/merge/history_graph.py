"""The part of the commit graph that a merge needs: which parents count, and where lines of work parted.

Commits are read one by one, from the tips down, and no further than needed: where tips meet three commits
down, a hundred thousand below are not read, whatever the commit times are. Times only decide where to look
first; a wrong one makes no answer wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import cycle
from pathlib import Path

from artifacts.git.objects import ObjectReader


class History:
    """Commits and their parents, as far as the store has them. Raises ArtifactError where one is damaged."""

    def __init__(self, git_dir: Path, reader: ObjectReader) -> None:
        self._reader = reader
        self._cut_off = _shallow(git_dir)

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit; () also where a shallow history ends."""
        return () if commit in self._cut_off else self._reader.commit(commit).parents

    def time(self, commit: str) -> int:
        """The committer's time in seconds since 1970."""
        return self._reader.commit(commit).when

    def independent(self, commits: Sequence[str]) -> list[str]:
        """The distinct `commits`, in their order, without those that another one contains."""
        return _Descent(self, commits).independent() if len(commits) > 1 else list(commits)


class HistoryGraph:
    """All commits between some tips, each different, and `bases`, their best common ancestors.

    independent: the tips in their order without those that another one contains.
    """

    def __init__(self, history: History, tips: Sequence[str]) -> None:
        self._history = history
        descent = _Descent(history, tips)
        self.independent = descent.independent()
        self.bases = history.independent(descent.meetings())
        self._parents = descent.between()
        self._reached: set[str] = set()

    def join(self, tip: str) -> list[str]:
        """Best common ancestors of `tip` and all tips joined before, sorted; [] for the first.

        Only for tips that are independent.
        """
        frontier: set[str] = set()
        fresh: set[str] = set()
        todo = [tip]
        while todo:
            commit = todo.pop()
            if commit in self._reached:
                frontier.add(commit)
            elif commit not in fresh:
                fresh.add(commit)
                todo.extend(self._parents.get(commit, ()))
        self._reached |= fresh
        return self._best(frontier)

    def _best(self, frontier: set[str]) -> list[str]:
        # What lies outside the graph is a common ancestor of all tips, or worse than one.
        inside = {commit for commit in frontier if commit in self._parents}
        if len(inside) < len(frontier):
            inside.update(self.bases)
        return self._history.independent(sorted(inside))


class _Descent:
    """Which of some tips reach which commits, down to where all of them do.

    `_reached` has a bit for each tip. A commit that all tips reach marks its parents with one more bit: they
    are common ancestors, but not best ones. The parents of a commit with that bit are not read.
    """

    def __init__(self, history: History, tips: Sequence[str]) -> None:
        self._history, self._tips = history, tips
        self._all = (1 << len(tips)) - 1
        self._below = self._all + 1
        self._parents: dict[str, tuple[str, ...]] = {}
        self._reached: dict[str, int] = {}
        self._newest: list[tuple[int, str]] = []
        self._nearest: deque[str] = deque()
        for index, tip in enumerate(tips):
            self._pass_on([(tip, 1 << index)])
        for commit in self._to_open():
            self._parents[commit] = history.parents(commit)
            self._pass_on(self._given(commit))

    def independent(self) -> list[str]:
        """The tips that no other tip reaches."""
        return [tip for index, tip in enumerate(self._tips) if self._reached[tip] == 1 << index]

    def meetings(self) -> list[str]:
        """Commits that all tips reach, including the best common ancestors."""
        return [commit for commit, bits in self._reached.items() if bits == self._all]

    def between(self) -> dict[str, tuple[str, ...]]:
        """The parents of each commit that some tips reach, but not all."""
        return {
            commit: parents for commit, parents in self._parents.items() if self._reached[commit] < self._all
        }

    def _to_open(self) -> Iterator[str]:
        # Ordered by time alone, a wrong time leads past the meeting; by distance alone, a long line does.
        turns = cycle((self._by_time(), self._by_distance()))
        while (commit := next(next(turns), None)) is not None:
            yield commit

    def _by_time(self) -> Iterator[str]:
        while self._newest:
            _, commit = heappop(self._newest)
            if self._is_closed(commit):
                yield commit

    def _by_distance(self) -> Iterator[str]:
        while self._nearest:
            commit = self._nearest.popleft()
            if self._is_closed(commit):
                yield commit

    def _is_closed(self, commit: str) -> bool:
        return commit not in self._parents and self._reached[commit] < self._below

    def _given(self, commit: str) -> list[tuple[str, int]]:
        bits = self._reached[commit]
        if bits >= self._all:
            bits |= self._below
        return [(parent, bits) for parent in self._parents[commit]]

    def _pass_on(self, todo: list[tuple[str, int]]) -> None:
        while todo:
            commit, bits = todo.pop()
            before = self._reached.get(commit, 0)
            if before | bits == before:
                continue
            self._reached[commit] = before | bits
            if commit in self._parents:
                todo.extend(self._given(commit))
            elif not before and bits < self._below:
                heappush(self._newest, (-self._history.time(commit), commit))
                self._nearest.append(commit)


def _shallow(git_dir: Path) -> frozenset[str]:
    try:
        return frozenset((git_dir / "shallow").read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()
