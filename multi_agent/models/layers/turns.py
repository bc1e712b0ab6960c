"""Whose turn it is in a list of models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import structlog

AWAY_SECONDS: Final = 60.0
"""How long a model that was away is asked last, unless its service names another time."""
DENIED_SECONDS: Final = 600.0
"""How long one that answers no request at all is asked last."""
_MOST_SECONDS: Final = 3_600.0
_MOST_KNOWN: Final = 1_000
"""Callers of a gateway may choose names; above so many all are forgotten, and asked in their turn."""

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class ModelTurns:
    """Knows which models were away lately, by name: they are asked last for a while, then in their turn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._away_until: dict[str, float] = {}

    @property
    def away(self) -> frozenset[str]:
        """Those that are asked last now."""
        now = self._clock()
        return frozenset(name for name, until in self._away_until.items() if until > now)

    def order(self, models: Iterable[T], name_of: Callable[[T], str]) -> list[T]:
        """All of them, those that were away lately last."""
        away = self.away
        return sorted(models, key=lambda model: name_of(model) in away)

    def note_away(self, name: str, seconds: float) -> float:
        """Ask a model last for so long, 0 for not at all; how long that is, since an hour is the most."""
        bounded = min(seconds, _MOST_SECONDS)
        if bounded:
            if len(self._away_until) >= _MOST_KNOWN:
                self._away_until.clear()
            self._away_until[name] = self._clock() + bounded
        return bounded

    def note_back(self, name: str) -> None:
        """Say that a model has answered."""
        if self._away_until.pop(name, None) is not None:
            _log.info("model_back", model=name)
