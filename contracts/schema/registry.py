"""Every document type: its name, its model, its schema file and its sample."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from contracts.base.errors import InvalidDocument, Problem
from contracts.base.strict_json import read_json, shown, validate
from contracts.documents.reports import (
    ArtifactMetadata,
    BuildReport,
    CodeArtifacts,
    Contract,
    ReviewReport,
    TestReport,
)
from contracts.documents.todo_list import TodoList
from contracts.messages.events import EVENT_DATA, EventType, TaskEvent

_HERE = Path(__file__).parent
SCHEMAS: Final = _HERE / "generated"
RELEASED: Final = _HERE / "released"
SAMPLES: Final = _HERE / "samples"


@dataclass(frozen=True, slots=True)
class DocumentType:
    """A type of document. For `event` the model is the envelope; its data depends on the event's type."""

    name: str
    model: type[BaseModel]
    schema_file: Path
    sample: Path


def _registered(**models: type[BaseModel]) -> Mapping[str, DocumentType]:
    return MappingProxyType(
        {
            name: DocumentType(name, model, SCHEMAS / f"{name}.json", SAMPLES / f"{name}.json")
            for name, model in models.items()
        }
    )


DOCUMENT_TYPES: Final = _registered(
    todo=TodoList,
    contract=Contract,
    code=CodeArtifacts,
    build=BuildReport,
    test=TestReport,
    review=ReviewReport,
    metadata=ArtifactMetadata,
    event=TaskEvent,
)


def load_schema(name: str) -> dict[str, Any]:
    """Load the committed JSON Schema of a document type, as a fresh copy."""
    schema: dict[str, Any] = json.loads(_schema_text(name))
    return schema


def parse_document(name: str, raw: bytes | str) -> BaseModel:
    """Read a document of the named type. Raises InvalidDocument with every problem of the schema.

    The checks of a plan beyond its schema are in contracts.documents.plan_checks.
    """
    if name == "event":
        return validate(_event_model(read_json(raw, name)), raw, name)
    return validate(DOCUMENT_TYPES[name].model, raw, name)


@cache
def _schema_text(name: str) -> str:
    return DOCUMENT_TYPES[name].schema_file.read_text(encoding="utf-8")


def _event_model(document: Any) -> type[BaseModel]:
    kind = document.get("type") if isinstance(document, dict) else None
    if kind in list(EventType):
        envelope: type[BaseModel] = TaskEvent.__class_getitem__(EVENT_DATA[EventType(kind)])  # type: ignore[assignment]
        return envelope
    close = get_close_matches(str(kind)[:200], list(EventType), n=1)
    hint = f"; did you mean {shown(str(close[0]))}?" if close else f"; known are {', '.join(EventType)}"
    raise InvalidDocument("event", [Problem("$.type", f"unknown event type {shown(kind)}{hint}")])
