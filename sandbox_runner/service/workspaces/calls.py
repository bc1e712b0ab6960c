"""What may be asked of a workspace at a host, and what is answered: the texts of bodies.

A path is bytes there, since not every name is UTF-8. A call that carries a content, or whose answer is one,
says so.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from contracts.base.errors import DecodeError
from contracts.base.model import Model
from contracts.messages.sandbox import MAX_BUNDLE_BYTES
from contracts.ports.sandbox import Isolation, Verdict
from contracts.ports.trees import TreeChanges, TreeFile
from contracts.ports.workspace import NamedEnvironment, Placement, WorkspaceLimits


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


Searching = ListCall | GlobCall | GrepCall
Call = PrepareCall | OpenCall | ExecCall | ReadCall | WriteCall | Searching | DiffCall
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


def raw(text: str) -> bytes:
    """A path or a word of a command; what is not UTF-8 in it are surrogate escapes."""
    return text.encode("utf-8", "surrogateescape")


def text_of(raw: bytes) -> str:
    """The opposite of `raw`."""
    return raw.decode("utf-8", "surrogateescape")


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
