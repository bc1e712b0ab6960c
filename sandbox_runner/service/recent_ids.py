"""Ids that were noted lately."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_MOST: Final = 10_000


class RecentIds:
    """When each id was noted last; beyond 10,000 those noted longest ago are forgotten."""

    def __init__(self) -> None:
        self._noted: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._noted

    def note(self, name: str, now: float) -> None:
        """Note an id at this monotonic time."""
        self._noted[name] = now
        self._noted.move_to_end(name)
        if len(self._noted) > _MOST:
            self._noted.popitem(last=False)

    def age(self, name: str, now: float) -> float:
        """Seconds since it was noted; infinite when it was not."""
        return now - self._noted.get(name, float("-inf"))
