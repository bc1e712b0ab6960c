"""An answer that is mended part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contracts.base.answers.parts import failing_part, with_part
from contracts.base.errors import LimitExceeded, Problem
from contracts.base.processes.bounded_call import bounded_call

_MOST_PROBLEMS: Final = 20
"""With more it is the whole that is wrong."""


class AnswerSoFar:
    """What a model answered as a whole, and which part of it is asked for again."""

    def __init__(self) -> None:
        self.part = ""
        """Its JSON path; "" for the whole."""
        self._whole = ""

    async def add(self, said: str) -> str:
        """The whole answer with what was said now. Raises LimitExceeded."""
        part, self.part = self.part, ""
        if part:
            said = await bounded_call(len(self._whole) + len(said), with_part, self._whole, part, said)
        self._whole = said
        return said

    async def ask_for(self, problems: Sequence[Problem]) -> str:
        """The JSON path of what is asked for next, since it has all the problems; "" for the whole."""
        if len(problems) <= _MOST_PROBLEMS:
            try:
                self.part = await bounded_call(len(self._whole), failing_part, self._whole, tuple(problems))
            except LimitExceeded:
                self.part = ""
        return self.part
