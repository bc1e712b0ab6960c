"""Requests of a workspace and their answers as bytes in parts.

A body is the length of a JSON text, the text, and contents one after the other; all of it is compressed. A
path is bytes there, since not every name is UTF-8.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
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
from contracts.ports.sandbox import Isolation, Verdict
from contracts.ports.trees import TreeChanges, TreeFile
from contracts.ports.workspace import NamedEnvironment, Placement, WorkspaceLimits
from sandbox_runner.guest.wire import LENGTH

_LEVEL: Final = 1
_MOST_TEXT: Final = 32 * 1024 * 1024
_MOST_VALUES: Final = 2_000_000
ERRORS: Final[dict[str, type[MultiAgentError]]] = {
    "unsafe_path": UnsafePath,
    "not_configured": NotConfigured,
    "invalid_input": InvalidInput,
    "limit_exceeded": LimitExceeded,
    "environment_failed": EnvironmentFailed,
    "artifact_error": ArtifactError,
    "store_unavailable": StoreUnavailable,
    "sandbox_unavailable": SandboxUnavailable,
}
"""What a request may raise, the special ones before the general ones."""


class Nothing(Model):
    """A text with nothing in it, as for an answer that is a content alone; the base of the others."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class ChangedEntry(Nothing):
    """A file of changes; its content lies among the contents, in the order of the files."""

    path: bytes
    size: int = Field(ge=0, le=MAX_BUNDLE_BYTES)
    executable: bool = False
    is_link: bool = False


class ListedChanges(Nothing):
    """See TreeChanges."""

    deleted: tuple[bytes, ...] = ()
    files: tuple[ChangedEntry, ...] = ()


class PrepareCall(Nothing):
    """Make the environment of a commit."""

    call: Literal["prepare"] = "prepare"
    commit: str


class OpenCall(Nothing):
    """See Workspaces.open."""

    call: Literal["open"] = "open"
    commit: str
    tree: str
    environment: NamedEnvironment | None
    limits: WorkspaceLimits
    changes: ListedChanges
    read_only: tuple[bytes, ...]


class ExecCall(Nothing):
    """See Workspace.exec; standard input is the content."""

    call: Literal["exec"] = "exec"
    number: int
    argv: tuple[bytes, ...]
    wall_seconds: float | None
    output_bytes: int | None


class ReadCall(Nothing):
    """See Workspace.read; the answer is the content."""

    call: Literal["read"] = "read"
    path: bytes
    offset: int
    size: int | None


class WriteCall(Nothing):
    """See Workspace.write."""

    call: Literal["write"] = "write"
    path: bytes


class ListCall(Nothing):
    """See Workspace.list."""

    call: Literal["list"] = "list"
    path: bytes


class GlobCall(Nothing):
    """See Workspace.glob."""

    call: Literal["glob"] = "glob"
    pattern: bytes


class GrepCall(Nothing):
    """See Workspace.grep."""

    call: Literal["grep"] = "grep"
    pattern: bytes
    path: bytes
    most: int


class DiffCall(Nothing):
    """See Workspace.diff."""

    call: Literal["diff"] = "diff"


Call = PrepareCall | OpenCall | ExecCall | ReadCall | WriteCall | ListCall | GlobCall | GrepCall | DiffCall
CALLS: Final[TypeAdapter[Call]] = TypeAdapter(Annotated[Call, Field(discriminator="call")])


class PreparedAnswer(Nothing):
    """See PreparedEnvironment; both are "" where nothing is needed."""

    name: str = Field(default="", max_length=10_000)
    hash: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class OpenedAnswer(Nothing):
    """What a workspace was opened in."""

    backend: str = Field(max_length=100)
    isolation: Isolation
    placement: Placement


class ExecAnswer(Nothing):
    """See ExecResult; the content is the output, then what went to standard error."""

    verdict: Verdict
    exit_code: int | None
    stdout_size: int = Field(ge=0, le=MAX_BUNDLE_BYTES)
    seconds: float = Field(ge=0)


class EntriesAnswer(Nothing):
    """See FolderEntry."""

    entries: tuple[tuple[bytes, str, int], ...]


class PathsAnswer(Nothing):
    """Paths that match."""

    paths: tuple[bytes, ...]


class MatchesAnswer(Nothing):
    """See GrepMatch."""

    matches: tuple[tuple[bytes, int, bytes], ...]


B = TypeVar("B", bound=Nothing)


def raw(text: str) -> bytes:
    """A path or a word of a command; what is not UTF-8 in it are surrogate escapes."""
    return text.encode("utf-8", "surrogateescape")


def text_of(raw: bytes) -> str:
    """The opposite of `raw`."""
    return raw.decode("utf-8", "surrogateescape")


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


def listed(changes: TreeChanges) -> tuple[ListedChanges, bytes]:
    """Changes as a text and their contents."""
    files = tuple(
        ChangedEntry(path=raw(path), size=len(file.content), executable=file.executable, is_link=file.is_link)
        for path, file in changes.files.items()
    )
    deleted = tuple(map(raw, changes.deleted))
    content = b"".join(file.content for file in changes.files.values())
    return ListedChanges(deleted=deleted, files=files), content


def changes_of(listed: ListedChanges, content: bytes) -> TreeChanges:
    """The changes. Raises DecodeError for contents of other sizes, and for a path that is there twice."""
    files: dict[str, TreeFile] = {}
    start = 0
    for one in listed.files:
        files[text_of(one.path)] = TreeFile(
            content[start : start + one.size], executable=one.executable, is_link=one.is_link
        )
        start += one.size
    if start != len(content) or len(files) < len(listed.files):
        raise DecodeError("its contents are not those of its files", b"")
    return TreeChanges(tuple(map(text_of, listed.deleted)), files)
