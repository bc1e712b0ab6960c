"""Who refers to whom: a file that uses a name refers to the files that define it."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from artifacts.code_index.entry import Entry
from artifacts.code_index.kinds import Kind
from artifacts.code_index.places import module_name, subject_of
from artifacts.code_index.words import number

SEEDS: Final = 40
"""How many files are followed from, where a request says which matter."""
_STEPS: Final = 3
_STAYS: Final = 0.5
"""Of the rank of a file; the rest goes to what it refers to."""
_MOST_DEFINERS: Final = 12
"""A name that more files define says nothing."""
_IMPORT: Final = 2.0
_SUBJECT: Final = 4.0


class References:
    """The references among the files of a tree, followed from few files, so that most are never looked at."""

    def __init__(self, paths: Sequence[str], kinds: Sequence[Kind], entries: Sequence[Entry]) -> None:
        self._paths, self._kinds, self._entries = paths, kinds, entries
        self._definers: dict[int, list[int]] = defaultdict(list)
        self._modules: dict[int, list[int]] = defaultdict(list)
        self._subjects: dict[str, list[int]] = defaultdict(list)
        for at, (path, kind, entry) in enumerate(zip(paths, kinds, entries, strict=True)):
            for name in entry.defines.numbers:
                self._definers[name].append(at)
            if kind is not Kind.OTHER:
                self._modules[number(module_name(path))].append(at)
            if kind in (Kind.CODE, Kind.ASIDE):
                self._subjects[subject_of(path)].append(at)
        self._edges: dict[int, list[tuple[int, float]]] = {}

    def rank(self, scores: Sequence[float], seeds: int = SEEDS) -> list[float]:
        """How much of the best files' scores reaches each file: a personalised PageRank of few steps."""
        best = heapq.nlargest(seeds, range(len(scores)), scores.__getitem__)
        total = sum(scores[at] ** 2 for at in best) or 1.0
        moving = {at: scores[at] ** 2 / total for at in best if scores[at] > 0}
        reached = [0.0] * len(scores)
        for _ in range(_STEPS):
            arrived: dict[int, float] = defaultdict(float)
            for at, amount in moving.items():
                for target, share in self._out(at):
                    arrived[target] += amount * share * (1 - _STAYS)
            for at, amount in arrived.items():
                reached[at] += amount
            moving = dict(heapq.nlargest(4 * seeds, arrived.items(), lambda item: item[1]))
        return reached

    def _out(self, at: int) -> list[tuple[int, float]]:
        """What a file refers to, with shares that add up to 1."""
        known = self._edges.get(at)
        if known is None:
            weights: dict[int, float] = defaultdict(float)
            for target, weight in self._references(at):
                if target != at:
                    weights[target] += weight
            total = sum(weights.values()) or 1.0
            known = self._edges[at] = [(target, weight / total) for target, weight in weights.items()]
        return known

    def _references(self, at: int) -> Iterator[tuple[int, float]]:
        entry = self._entries[at]
        for name, times in zip(entry.uses.numbers, entry.uses.times, strict=True):
            definers = self._definers.get(name, ())
            if 0 < len(definers) <= _MOST_DEFINERS and not entry.defines[name]:
                for target in definers:
                    yield target, math.sqrt(times) / len(definers) ** 1.5
        for module in entry.imports.numbers:
            yield from self._alike(at, self._modules.get(module, ()), _IMPORT)
        if self._kinds[at] is Kind.TEST:
            yield from self._alike(at, self._subjects.get(subject_of(self._paths[at]), ()), _SUBJECT)

    def _alike(self, at: int, targets: Sequence[int], weight: float) -> Iterator[tuple[int, float]]:
        """Of files with one name, those near to a file."""
        if not targets or len(targets) > 4 * _MOST_DEFINERS:
            return
        near = {target: _common(self._paths[at], self._paths[target]) for target in targets}
        most = max(near.values())
        chosen = [target for target, common in near.items() if common == most]
        for target in chosen:
            yield target, weight / len(chosen)


def _common(one: str, other: str) -> int:
    """How many folders two paths share, at whatever depth."""
    return len(set(one.split("/")[:-1]) & set(other.split("/")[:-1]))
