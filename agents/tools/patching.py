"""The tool that applies a unified diff: all of it, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from agents.tools.bench import Bench
from agents.tools.editing import check_path, check_source, is_there
from agents.tools.linting import linted
from agents.tools.nearest import nearest
from agents.tools.reading import text_of
from agents.tools.shown_text import excerpt
from agents.tools.tool import Tool, ToolRefused
from contracts.base.model import Model
from contracts.base.paths import NOWHERE, diff_path

_HUNK: Final = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")
_SHOWN: Final = 10
"""Hunks of which lines are shown again; of others, where they are."""


class Patch(Model):
    """Apply a unified diff (`--- a/path`, `+++ b/path`, `@@ -line,count +line,count @@`) to one file or more: every hunk of it, or nothing. Line numbers may be off; context and removed lines must stand in the file as they are."""  # noqa: E501 - part of prompts

    diff: str = Field(min_length=1, max_length=400_000)


@dataclass(slots=True)
class _Hunk:
    number: int
    """In the diff, from 1 on."""
    line: int
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    at: int = 0
    """The line at which `new` begins, from 1 on, once it was applied."""


@dataclass(slots=True)
class _FileChange:
    old: str
    new: str
    hunks: list[_Hunk] = field(default_factory=list)


async def patch(bench: Bench, asked: Patch) -> str:
    """Apply a diff."""
    changes = _read(asked.diff.replace("\r\n", "\n").split("\n"))
    if not changes:
        raise ToolRefused("it is no unified diff; it needs `--- a/path`, `+++ b/path` and hunks with `@@`")
    if len({change.new for change in changes}) < len(changes):
        raise ToolRefused("a file stands twice in it; put its hunks together")
    files = {change.new: await _changed(bench, change) for change in changes}
    found = await linted(bench, files)
    hunks = [(change.new, hunk) for change in changes for hunk in change.hunks]
    places = [_reads(path, hunk, hunk.number <= _SHOWN) for path, hunk in hunks]
    return "\n".join([f"{len(hunks)} hunks applied to {', '.join(files)}", *places]) + found


def _reads(path: str, hunk: _Hunk, is_shown: bool) -> str:
    """Where a hunk is now, and its first and last lines."""
    if not hunk.new:
        return f"{path}, line {hunk.at}: {len(hunk.old)} lines removed"
    last = hunk.at + len(hunk.new) - 1
    lines = f":\n{excerpt(hunk.new, hunk.at)}" if is_shown else ""
    return f"{path}, lines {hunk.at}-{last}{lines}"


async def _changed(bench: Bench, change: _FileChange) -> bytes:
    """The bytes of a file after its hunks. Raises ToolRefused."""
    check_path(bench, change.new)
    if change.old == NOWHERE:
        if await is_there(bench, change.new):
            raise ToolRefused(f"{change.new} is there already; the diff makes it anew")
        text = _applied(change.new, "", change.hunks)
        await check_source(change.new, text, before=None)
        return text.encode("utf-8", "surrogateescape")
    file = await text_of(bench, change.old)
    text = _applied(change.new, file.text, change.hunks)
    await check_source(change.new, text, before=file.text)
    return file.with_text(text)


def _read(lines: Sequence[str]) -> list[_FileChange]:
    changes: list[_FileChange] = []
    number = 0
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else ""
        if line.startswith("--- ") and following.startswith("+++ "):
            changes.append(_file_change(line, following))
        elif changes and (found := _HUNK.match(line)):
            number += 1
            hunk = _Hunk(number, int(found[1]))
            changes[-1].hunks.append(hunk)
            _fill(hunk, lines[at + 1 :])
    return changes


def _file_change(old: str, new: str) -> _FileChange:
    change = _FileChange(diff_path(old), diff_path(new))
    if change.new == NOWHERE:
        raise ToolRefused(f"it deletes {change.old}; delete a file with a command")
    if change.old not in {change.new, NOWHERE}:
        raise ToolRefused(f"it renames {change.old}; rename a file with a command first")
    return change


def _fill(hunk: _Hunk, lines: Sequence[str]) -> None:
    for at, line in enumerate(lines):
        ends = line.startswith(("@@ ", "diff --git ")) or _begins_file(lines, at)
        if ends or (not line and at == len(lines) - 1):
            return
        sign, text = (line[:1] or " "), line[1:]
        if sign in "- ":
            hunk.old.append(text)
        if sign in "+ ":
            hunk.new.append(text)


def _begins_file(lines: Sequence[str], at: int) -> bool:
    return lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ ")


def _applied(path: str, text: str, hunks: Sequence[_Hunk]) -> str:
    """The text after all hunks, each behind the one before. Raises ToolRefused for one that does not fit."""
    lines = text.split("\n") if text else [""]
    cursor, moved = 0, 0
    for hunk in hunks:
        at = _place(path, lines, hunk, cursor, hunk.line - 1 + moved)
        lines[at : at + len(hunk.old)] = hunk.new
        hunk.at = at + 1
        cursor, moved = at + len(hunk.new), at - (hunk.line - 1) + len(hunk.new) - len(hunk.old)
    return "\n".join(lines)


def _place(path: str, lines: Sequence[str], hunk: _Hunk, cursor: int, expected: int) -> int:
    if not hunk.old:
        return min(max(expected + 1 if hunk.line else 0, cursor), len(lines))
    found = list(_places(lines, hunk.old, cursor))
    if expected in found:
        return expected
    if len(found) == 1:
        return found[0]
    where = f"{path}, hunk {hunk.number} (@@ -{hunk.line})"
    if found:
        stands = ", ".join(str(at + 1) for at in found[:10])
        raise ToolRefused(f"nothing is done: {where}: its lines stand at {stands}; give more context")
    near = nearest("\n".join(lines), "\n".join(hunk.old))
    shown = f"nearest are these lines, as they are:\n{near}" if near else "nothing there is like them"
    raise ToolRefused(f"nothing is done: {where}: its lines do not stand there; {shown}")


def _places(lines: Sequence[str], old: Sequence[str], cursor: int) -> Iterator[int]:
    for at in range(cursor, len(lines) - len(old) + 1):
        if lines[at] == old[0] and list(lines[at : at + len(old)]) == list(old):
            yield at


PATCHING = (Tool("patch", Patch, patch),)
