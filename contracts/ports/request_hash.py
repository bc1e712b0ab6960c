"""The identity of a model request, by which replays, caches and provenance find its answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from contracts.ports.model import ModelRequest


def request_hash(request: ModelRequest) -> str:
    """SHA-256, 64 hex digits, over the canonical JSON of the request.

    A field that is at its default is left out, of the request and of everything in it, but for `kind`, which
    says what a record is. So a field that is added later, with a default that means what was meant before,
    changes no recorded hash; a default, once released, must never change.

    The model's name is no part of the request: a recording answers for whichever model made it. Canonical
    means sorted keys, no spaces, ASCII only. Raises TypeError for a schema that holds something JSON does not
    know, and ValueError for NaN or an infinity.
    """
    return hashlib.sha256(canonical_json(request).encode("ascii")).hexdigest()


def canonical_json(request: ModelRequest) -> str:
    """The request as `request_hash` takes it. Raises as that does."""
    content = _set_fields(request)
    if "temperature" in content:
        content["temperature"] = float(request.temperature)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)


def _set_fields(record: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, and its kind."""
    return {
        field.name: value
        for field in fields(record)
        if (value := getattr(record, field.name)) != _default(field) or field.name == "kind"
    }


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value):
        return _set_fields(value)
    raise TypeError(f"a model request cannot hold a {type(value).__name__}: use JSON types only")
