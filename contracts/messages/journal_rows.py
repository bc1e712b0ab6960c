"""Journal events as they are stored: their kind, the task they are about, and their other fields."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from contracts.messages.journal import JOURNAL_EVENTS, JournalEvent, UnknownEvent

_STORED: Mapping[type[JournalEvent], tuple[str, tuple[str, ...]]] = {
    model: (kind, model._fields) for kind, model in JOURNAL_EVENTS.items()
}
"""The kind and the fields of each type."""


def kind_of(model: type[JournalEvent]) -> str:
    """The kind that is stored for events of this type."""
    return _STORED[model][0]


def encode_journal(event: JournalEvent) -> tuple[str, str | None, dict[str, Any]]:
    """(kind, task id, data) as they are stored."""
    kind, names = _STORED[type(event)]
    fields = zip(names, event, strict=True)
    data: dict[str, Any] = {name: value for name, value in fields if value is not None}
    return kind, data.pop("task_id", None), data


def decode_journal(kind: str, task_id: str | None, data: Mapping[str, Any]) -> JournalEvent | UnknownEvent:
    """The event that was stored; fields that this version does not know are left out."""
    model = JOURNAL_EVENTS.get(kind)
    if model is None:
        return UnknownEvent(kind, task_id, data)
    stored = {**data, "task_id": task_id}
    known = {name: stored.get(name, model._field_defaults.get(name)) for name in model._fields}
    try:
        return _adapter(kind).validate_python(known)
    except ValidationError:
        return UnknownEvent(kind, task_id, data)


@cache
def _adapter(kind: str) -> TypeAdapter[JournalEvent]:
    return TypeAdapter(JOURNAL_EVENTS[kind])
