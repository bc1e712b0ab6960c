"""Tools that look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import Field

from agents.tools.bench import Bench
from agents.tools.shown_text import as_fit, cut_line, numbered
from agents.tools.text_file import TextFile
from agents.tools.tool import Tool, ToolRefused
from contracts.base.errors import InvalidInput
from contracts.base.model import Model, PathText
from contracts.ports.workspace import GrepMatch

_LINES = 400
_MOST_LINES = 1_000
_MATCHES = 60
_COUNTED = 2_000
_COUNTED_FILES = 20
_PATHS = 300
_FILE_BYTES = 4_000_000


class Read(Model):
    """Read a text file, with line numbers. A long file is shown in parts, of at most 1,000 lines and 30,000 characters, and a line up to 500: ask for the lines you need."""  # noqa: E501 - part of prompts

    path: PathText
    first: int = Field(default=1, ge=1, description="the first line to show")
    lines: int = Field(default=_LINES, ge=1, description="how many lines to show")


async def read(bench: Bench, asked: Read) -> str:
    """Show a part of a file."""
    file = await text_of(bench, asked.path)
    lines = file.text.splitlines()
    start = asked.first - 1
    if start >= max(len(lines), 1):
        raise ToolRefused(f"{asked.path} has {len(lines)} lines, and line {asked.first} is not one of them")
    asked_for = lines[start : start + asked.lines]
    shown = as_fit(numbered(asked_for[:_MOST_LINES], asked.first), bench.read_characters)
    last = start + len(shown)
    rest = f"\n({len(lines) - last} more lines; read from {last + 1} on)" if last < len(lines) else ""
    if len(asked_for) > len(shown) == _MOST_LINES:
        rest = f"\n({_MOST_LINES} lines are the most at once){rest}"
    return "\n".join([f"{asked.path}, {len(lines)} lines", *shown]) + rest


class Search(Model):
    """Search text files for a regular expression of Python's `re`."""

    pattern: str = Field(min_length=1, max_length=1_000)
    path: str = Field(default="", max_length=1_024, description="a file or folder; empty for everything")


async def search(bench: Bench, asked: Search) -> str:
    """Show the lines that match."""
    found = await bench.workspace.grep(asked.pattern, asked.path, most=_MATCHES + 1)
    if not found:
        return "nothing matches"
    shown = [f"{one.path}:{one.line}: {cut_line(one.text)}" for one in found[:_MATCHES]]
    if len(found) > _MATCHES:
        found = await bench.workspace.grep(asked.pattern, asked.path, most=_COUNTED)
        shown += _counted(found[_MATCHES:], is_all=len(found) < _COUNTED)
    return "\n".join(shown)


def _counted(left: Sequence[GrepMatch], *, is_all: bool) -> list[str]:
    """Say how many matches in which files are not shown, most first."""
    files = Counter(one.path for one in left).most_common()
    some = "" if is_all else "at least "
    more = [f"({len(files) - _COUNTED_FILES} more files)"] if len(files) > _COUNTED_FILES else []
    return [
        f"({some}{len(left)} more lines match; narrow the pattern or the path. They are in)",
        *(f"{path}: {count}" for path, count in files[:_COUNTED_FILES]),
        *more,
    ]


class Find(Model):
    """Find files by their path, such as `src/**/test_*.py`; `**` stands for any number of folders."""

    pattern: str = Field(min_length=1, max_length=1_000)


async def find(bench: Bench, asked: Find) -> str:
    """Show the paths that match."""
    return _paths(list(await bench.workspace.glob(asked.pattern)))


class ListFolder(Model):
    """List a folder; empty for the root."""

    path: str = Field(default="", max_length=1_024)


async def list_folder(bench: Bench, asked: ListFolder) -> str:
    """Show what a folder holds."""
    entries = await bench.workspace.list(asked.path)
    return _paths([f"{one.name}/" if one.kind == "folder" else one.name for one in entries])


def _paths(names: list[str]) -> str:
    if not names:
        return "nothing is there"
    more = [f"({len(names) - _PATHS} more; narrow it)"] if len(names) > _PATHS else []
    return "\n".join([*names[:_PATHS], *more])


async def text_of(bench: Bench, path: str) -> TextFile:
    """The text of a file of the workspace. Raises ToolRefused."""
    try:
        content = await content_of(bench, path)
    except InvalidInput as error:
        raise ToolRefused(str(error)) from None
    file = TextFile.read(content)
    if file is None:
        raise ToolRefused(f"{path} is a binary file of {len(content)} bytes")
    return file


async def content_of(bench: Bench, path: str) -> bytes:
    """All bytes of a file of the workspace. Raises ToolRefused for a large one, InvalidInput for none."""
    parts: list[bytes] = []
    size = 0
    while part := await bench.workspace.read(path, offset=size):
        parts.append(part)
        size += len(part)
        if size > _FILE_BYTES:
            raise ToolRefused(f"{path} is larger than {_FILE_BYTES} bytes; search it, or run a command on it")
    return b"".join(parts)


READING = (
    Tool("read", Read, read, reads_only=True),
    Tool("search", Search, search, reads_only=True),
    Tool("find", Find, find, reads_only=True),
    Tool("list", ListFolder, list_folder, reads_only=True),
)
