"""The identity of a model request: what replays, caches and provenance go by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from contracts.ports.model import ModelRequest


def request_hash(request: ModelRequest) -> str:
    """SHA-256, 64 hex digits, over the canonical JSON of everything in the request.

    The model's name is no part of it: a recording answers for whichever model made it. Canonical means sorted
    keys, no spaces, ASCII only. Raises TypeError for a schema that holds something JSON does not know, and
    ValueError for NaN or an infinity.
    """
    content = {
        "purpose": request.purpose,
        "system": request.system,
        "messages": [[message.role, message.text] for message in request.messages],
        "response_schema": request.response_schema,
        "temperature": float(request.temperature),
        "max_output_tokens": request.max_output_tokens,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a model request cannot hold a {type(value).__name__}: use JSON types only")
