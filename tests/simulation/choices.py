"""Every random choice of a schedule, recorded, so that it can be replayed and shrunk."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence


class Choices:
    """Choices from a seed or a recording; beyond a recording's end everything is 0, which is no fault."""

    def __init__(self, seed: int, recording: Sequence[int] | None = None) -> None:
        self._random = random.Random(seed).random
        self._replay: Iterator[int] | None = None if recording is None else iter(recording)
        self._length = None if recording is None else len(recording)
        self.made: list[int] = []
        self.calm = False

    @property
    def over(self) -> bool:
        """Whether a recording has come to its end."""
        return self._length is not None and len(self.made) >= self._length

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        value = int(self._random() * limit) if self._replay is None else next(self._replay, 0) % limit
        self.made.append(value)
        return value

    def fault(self, likely: float, kinds: int = 1) -> int:
        """0, or with the given likelihood one of 1 to `kinds`; always 0 once it is calm."""
        if self.calm:
            return 0
        if self._replay is None:
            drawn = self._random()
            value = 0 if drawn >= likely else 1 + int(drawn / likely * kinds)
        else:
            value = next(self._replay, 0) % (kinds + 1)
        self.made.append(value)
        return value
