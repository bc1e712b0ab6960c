"""The part of the commit graph that a merge needs: which parents count, and where lines of work parted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from artifacts.git_process import GitFailed, run


class HistoryGraph:
    """All commits between some tips and their best common ancestors, read with two git processes."""

    def __init__(self, git_dir: Path, tips: Sequence[str]) -> None:
        self._bases = _common_ancestors(git_dir, tips)
        lines = "\n".join([*tips, *(f"^{base}" for base in self._bases), ""])
        out = run(["rev-list", "--parents", "--stdin"], git_dir=git_dir, stdin=lines.encode())
        rows = (line.split() for line in out.decode().splitlines())
        self._parents = {row[0]: tuple(row[1:]) for row in rows}
        self._reached: set[str] = set()

    def independent(self, tips: Sequence[str]) -> list[str]:
        """`tips` in their order without those that another one already contains."""
        below = self._ancestors(parent for tip in tips for parent in self._parents.get(tip, ()))
        return [tip for tip in tips if tip in self._parents and tip not in below]

    def join(self, tip: str) -> list[str]:
        """Best common ancestors of `tip` and all tips joined before, sorted; [] for the first."""
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
            inside.update(self._bases)
        if len(inside) > 1:
            inside -= self._ancestors(parent for one in inside for parent in self._parents.get(one, ()))
        return sorted(inside)

    def _ancestors(self, start: Iterable[str]) -> set[str]:
        seen: set[str] = set()
        todo = list(start)
        while todo:
            commit = todo.pop()
            if commit not in seen:
                seen.add(commit)
                todo.extend(self._parents.get(commit, ()))
        return seen


def _common_ancestors(git_dir: Path, tips: Sequence[str]) -> list[str]:
    try:
        return run(["merge-base", "--octopus", "--all", *tips], git_dir=git_dir).decode().split()
    except GitFailed as error:
        if error.returncode == 1:
            return []
        raise
