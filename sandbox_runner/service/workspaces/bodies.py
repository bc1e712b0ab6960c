"""Requests of a workspace and their answers as bytes in parts.

A body is the length of a JSON text, the text, and contents one after the other; all of it is compressed.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from contracts.base.errors import (
    ArtifactError,
    DecodeError,
    EnvironmentFailed,
    InvalidInput,
    LimitExceeded,
    MultiAgentError,
    NotConfigured,
    SandboxUnavailable,
    StoreUnavailable,
    UnsafePath,
)
from contracts.base.model import Model
from contracts.base.strict_json import has_more_parts
from contracts.messages.sandbox import MAX_BUNDLE_BYTES
from contracts.messages.workspaces import BYTES_OF_PART
from sandbox_runner.guest.wire import LENGTH
from sandbox_runner.service.workspaces.calls import Nothing

_LEVEL: Final = 1
_MOST_TEXT: Final = 32 * 1024 * 1024
_MOST_VALUES: Final = 2_000_000


class Unsuited(SandboxUnavailable):
    """This host cannot do it, and another one may."""


ERRORS: Final[dict[str, type[MultiAgentError]]] = {
    "unsafe_path": UnsafePath,
    "not_configured": NotConfigured,
    "invalid_input": InvalidInput,
    "limit_exceeded": LimitExceeded,
    "environment_failed": EnvironmentFailed,
    "artifact_error": ArtifactError,
    "store_unavailable": StoreUnavailable,
    "unsuited": Unsuited,
    "sandbox_unavailable": SandboxUnavailable,
}
"""What a request may raise, the special ones before the general ones."""


B = TypeVar("B", bound=Nothing)


@dataclass(frozen=True, slots=True)
class Body:
    """A body that has arrived."""

    text: bytes
    content: bytes

    def of(self, kind: type[B]) -> B:
        """Read the text as this. Raises DecodeError."""
        try:
            return kind.model_validate_json(self.text)
        except ValidationError as error:
            raise unreadable(error, self.text) from None


def unreadable(error: ValidationError, text: bytes) -> DecodeError:
    """Say what is wrong with a text."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return DecodeError(f"at {where}: {first['msg']}", text)


def fold(body: Model, content: bytes = b"") -> list[str]:
    """The parts of a body. Raises LimitExceeded for one that is too large to be sent."""
    text = to_json(body, bytes_mode="base64")
    for name, has, most in (("text", len(text), _MOST_TEXT), ("content", len(content), MAX_BUNDLE_BYTES)):
        if has > most:
            raise LimitExceeded(f"{has} bytes of {name} cannot be sent to or from a sandbox host, {most} can")
    packed = zlib.compress(LENGTH.pack(len(text)) + text + content, _LEVEL)
    parts = range(0, len(packed), BYTES_OF_PART)
    return [base64.b64encode(packed[start : start + BYTES_OF_PART]).decode("ascii") for start in parts]


def unfold(parts: Sequence[str]) -> Body:
    """Read the parts of a body. Raises DecodeError, and never unpacks more than may be sent."""
    most = LENGTH.size + _MOST_TEXT + MAX_BUNDLE_BYTES
    try:
        unpacker = zlib.decompressobj()
        whole = unpacker.decompress(
            b"".join(base64.b64decode(part, validate=True) for part in parts), most + 1
        )
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DecodeError(f"cannot be unpacked: {error}", b"") from None
    if len(whole) < LENGTH.size or len(whole) > most or not unpacker.eof or unpacker.unused_data:
        raise DecodeError("is not a whole body, or too large", b"")
    (length,) = LENGTH.unpack(whole[: LENGTH.size])
    start = LENGTH.size + length
    text = whole[LENGTH.size : start]
    if len(text) < length or has_more_parts(text, _MOST_VALUES):
        raise DecodeError("ends within its text, or has too many values", b"")
    return Body(text, whole[start:])
