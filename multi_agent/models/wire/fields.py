"""Reads a body field by field, and knows what was not read: nothing is dropped without being named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, cast

from contracts.base.errors import Problem
from contracts.base.strict_json import json_path, shown

T = TypeVar("T")

_KINDS: Final[Mapping[type, tuple[tuple[type, ...], str]]] = {
    str: ((str,), "text"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
    dict: ((Mapping,), "an object"),
    list: ((list, tuple), "a list"),
}
_CAPITAL: Final = re.compile(r"(?<!^)([A-Z])")


class Notes:
    """What was noticed on the way to another format, each with its JSON path in the body that was read."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}
        self._refused: dict[Problem, None] = {}
        self._lost: dict[Problem, None] = {}
        self._read: list[Fields] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Not valid in its own format."""
        return tuple(self._problems)

    @property
    def refused(self) -> tuple[Problem, ...]:
        """Cannot be said in the other format, and the request would mean something else without it."""
        return tuple(self._refused)

    @property
    def lost(self) -> tuple[Problem, ...]:
        """Cannot be said in the other format, or not as it was; the request is sent without it."""
        return tuple(self._lost)

    def wrong(self, path: str, message: str) -> None:
        self._problems[Problem(path, message)] = None

    def refuse(self, path: str, message: str) -> None:
        self._refused[Problem(path, message)] = None

    def lose(self, path: str, message: str) -> None:
        self._lost[Problem(path, message)] = None

    def add(self, fields: Fields) -> None:
        """Remember what is being read."""
        self._read.append(fields)

    def finish(self) -> None:
        """Name what nobody has read."""
        for fields in self._read:
            for key in fields.left:
                self.lose(f"{fields.path}{json_path([key])[1:]}", "is not known to the gateway")
        self._read.clear()


class Fields:
    """An object of a body. A name in camelCase is found under_scored too, as Google's services have it."""

    __slots__ = ("_children", "_found", "_left", "notes", "path")

    def __init__(self, found: object, path: str, notes: Notes) -> None:
        self.path = path
        self.notes = notes
        self._children: dict[str, Fields | None] = {}
        if not isinstance(found, Mapping):
            notes.wrong(path, f"must be an object, got {shown(found)}")
            found = {}
        self._found: Mapping[str, Any] = found
        self._left = {key: None for key, value in found.items() if value is not None}
        notes.add(self)

    @property
    def left(self) -> Iterator[str]:
        """The fields that nobody took."""
        return iter(self._left)

    def has(self, key: str) -> bool:
        """Whether there is such a field, null counting as none."""
        return self._found.get(self.spelled(key)) is not None

    def spelled(self, key: str) -> str:
        """A field's name as this body has it."""
        if key in self._found or key.islower():
            return key
        other = _CAPITAL.sub(lambda found: f"_{found[1].lower()}", key)
        return other if other in self._found else key

    def take(self, key: str, kind: type[T]) -> T | None:
        """A field's value; None where it is missing, null or of another kind, which is noted."""
        spelled = self.spelled(key)
        self._left.pop(spelled, None)
        value = self._found.get(spelled)
        if value is None:
            return None
        types, words = _KINDS[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind is not bool):
            self.notes.wrong(self.at(key), f"must be {words}, got {shown(value)}")
            return None
        return cast(T, value)

    def need(self, key: str, kind: type[T]) -> T:
        """A field that must be there; else that is noted, and an empty value stands for it."""
        if not self.has(key):
            self.notes.wrong(self.at(key), "required field is missing")
        value = self.take(key, kind)
        return kind() if value is None else value

    def text(self, key: str) -> str:
        """A text; "" where there is none."""
        return self.take(key, str) or ""

    def texts(self, key: str) -> list[str] | None:
        """A list of texts, or one; None where there is none."""
        found = self.raw(key)
        if isinstance(found, str):
            return [found]
        found = self.take(key, list)
        if found is not None and not all(isinstance(one, str) for one in found):
            self.notes.wrong(self.at(key), "must be a list of texts")
        return found and [str(one) for one in found]

    def whole(self, key: str) -> int:
        """A number of something; 0 where there is none."""
        return max(self.take(key, int) or 0, 0)

    def raw(self, key: str) -> Any:
        """A value of any kind."""
        spelled = self.spelled(key)
        self._left.pop(spelled, None)
        return self._found.get(spelled)

    def child(self, key: str) -> Fields | None:
        """An object within; the same each time."""
        if key not in self._children:
            found = self.raw(key)
            self._children[key] = None if found is None else Fields(found, self.at(key), self.notes)
        return self._children[key]

    def children(self, key: str) -> list[Fields]:
        """A list of objects."""
        found = self.take(key, list) or []
        return [Fields(one, f"{self.at(key)}[{index}]", self.notes) for index, one in enumerate(found)]

    def at(self, key: str) -> str:
        """The JSON path of a field."""
        return f"{self.path}.{self.spelled(key)}"

    def everything(self) -> dict[str, Any]:
        """All of it, as it is."""
        self._left.clear()
        return dict(self._found)

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Refuse fields that are there, each for its reason."""
        for key, reason in reasons.items():
            if self.raw(key) not in (None, False):
                self.notes.refuse(self.at(key), reason)

    def ignore(self, *keys: str) -> None:
        """Fields that say nothing that is not said elsewhere."""
        for key in keys:
            self._left.pop(self.spelled(key), None)
