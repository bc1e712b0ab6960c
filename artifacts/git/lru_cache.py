"""A cache for several threads that evicts what was used least recently."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

_V = TypeVar("_V")


class LruCache(Generic[_V]):
    """Values by name.

    room: the sum of weights that all values may have.
    weight: the weight of a value.
    """

    def __init__(self, room: int, weight: Callable[[_V], int] = lambda _: 1) -> None:
        self._room, self._weight = room, weight
        self._lock = Lock()
        self._items: OrderedDict[str, _V] = OrderedDict()

    def get(self, key: str) -> _V | None:
        """Return the value, None when it is not in the cache."""
        with self._lock:
            value = self._items.get(key)
            if value is not None:
                self._items.move_to_end(key)
            return value

    def put(self, key: str, value: _V) -> None:
        """Add a value; a key must always have the same one."""
        with self._lock:
            if key not in self._items:
                self._items[key] = value
                self._room -= self._weight(value)
            while self._room < 0:
                _, oldest = self._items.popitem(last=False)
                self._room += self._weight(oldest)
