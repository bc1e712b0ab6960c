"""Names that series of metrics may have, where people and models choose them."""

from __future__ import annotations

from typing import Final

OTHERS: Final = "others"
"""The name of all that came after the first."""


class BoundedNames:
    """Passes the first `most` different names, and makes each later one OTHERS: series stay."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        if len(self._known) < self._most:
            self._known.add(name)
        return name if name in self._known else OTHERS
