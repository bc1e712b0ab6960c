"""The base of every document: frozen, strict about unknown fields, versioned.

The docstring of a document is the description in its JSON Schema, which is part of prompts: changing one
changes the hashes of recorded requests.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, StringConstraints

SCHEMA_VERSION: Literal["1.0"] = "1.0"

Identifier = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*([.][A-Za-z0-9_-]+)*$", max_length=100)
]
"""A name that may also be part of Git refs and stream names: letters, digits, `_`, `-`, inner dots."""

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=300)]
LongText = Annotated[str, StringConstraints(max_length=100_000)]
CommitName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
PathText = Annotated[str, StringConstraints(min_length=1, max_length=1024)]

T = TypeVar("T")


class _FirstFault(FailFast):
    """FailFast that can stand in a union, whose parts must be hashable."""

    __hash__ = object.__hash__


Entries = Annotated[tuple[T, ...], _FirstFault()]
"""A list in a message. One wrong entry refuses the whole message, so the check ends with the first."""


class Model(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Document(Model):
    """A document that stands alone, in a file or a message."""

    schema_version: Literal["1.0"] = Field(
        default=SCHEMA_VERSION, description="version of this document's schema"
    )
