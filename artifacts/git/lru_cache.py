"""A cache for several threads that forgets what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

_V = TypeVar("_V")


class LruCache(Generic[_V]):
    """Values by name, of at most `room` together. weight: how much room one takes."""

    def __init__(self, room: int, weight: Callable[[_V], int] = lambda _: 1) -> None:
        self._room, self._weight = room, weight
        self._lock = Lock()
        self._items: OrderedDict[str, _V] = OrderedDict()

    def get(self, key: str) -> _V | None:
        """None for what is not there any more."""
        with self._lock:
            value = self._items.get(key)
            if value is not None:
                self._items.move_to_end(key)
            return value

    def put(self, key: str, value: _V) -> None:
        """Keep a value that is the same whenever it is put."""
        with self._lock:
            if key not in self._items:
                self._items[key] = value
                self._room -= self._weight(value)
            while self._room < 0:
                _, oldest = self._items.popitem(last=False)
                self._room += self._weight(oldest)
