"""The fewest choices that still break the same invariant."""

from __future__ import annotations

from collections.abc import Callable


def shrunk(choices: list[int], fails: Callable[[list[int]], bool], tries: int = 4_000) -> list[int]:
    """Leave out runs of choices, then set what is left to 0, for as long as `fails` holds."""
    best = choices
    size = len(best) // 2
    while size and tries > 0:
        start = 0
        while start < len(best) and tries > 0:
            tries -= 1
            shorter = best[:start] + best[start + size :]
            if fails(shorter):
                best = shorter
            else:
                start += size
        size //= 2
    for index, value in enumerate(best):
        simpler = [*best[:index], 0, *best[index + 1 :]]
        if value and tries > 0 and fails(simpler):
            best = simpler
        tries -= 1
    trimmed = _trimmed(best)
    return trimmed if fails(trimmed) else best  # a schedule may end with its recording


def _trimmed(choices: list[int]) -> list[int]:
    """Without zeros at the end, which is what follows anyhow while the schedule goes on."""
    end = len(choices)
    while end and choices[end - 1] == 0:
        end -= 1
    return choices[:end]
