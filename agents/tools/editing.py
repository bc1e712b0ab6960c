"""Tools that change files. What would break a file that was whole is refused, with the reason."""

from __future__ import annotations

from pydantic import Field

from agents.sdk.source import content_problems
from agents.tools.bench import Bench
from agents.tools.linting import linted
from agents.tools.nearest import nearest
from agents.tools.reading import text_of
from agents.tools.shown_text import region
from agents.tools.tool import Tool, ToolRefused
from contracts.base.errors import InvalidInput, LimitExceeded
from contracts.base.model import Model, PathText
from contracts.base.processes.bounded_call import bounded_call

_AROUND = 3


class Edit(Model):
    """Replace a piece of a file. `old` must stand in the file exactly once, to the space: take it from what `read` shows, without the line numbers, with enough lines around it."""  # noqa: E501 - part of prompts

    path: PathText
    old: str = Field(min_length=1, max_length=100_000)
    new: str = Field(max_length=100_000)


async def edit(bench: Bench, asked: Edit) -> str:
    """Replace a piece of a file."""
    check_path(bench, asked.path)
    if asked.old == asked.new:
        raise ToolRefused("old and new are the same")
    file = await text_of(bench, asked.path)
    old, new = (text.replace("\r\n", "\n") if file.is_crlf else text for text in (asked.old, asked.new))
    count = file.text.count(old)
    if count != 1:
        raise ToolRefused(_not_once(file.text, old, count))
    at = file.text.index(old)
    changed = file.text[:at] + new + file.text[at + len(old) :]
    await check_source(asked.path, changed, before=file.text)
    found = await linted(bench, {asked.path: file.with_text(changed)})
    line = file.text.count("\n", 0, at) + 1
    reads = region(changed.splitlines(), line, line + new.count("\n"), _AROUND)
    return f"{asked.path} is changed; it reads now\n{reads}{found}"


class Write(Model):
    """Write a new file. A file that is there is changed with `edit`."""

    path: PathText
    content: str = Field(max_length=400_000)


async def write(bench: Bench, asked: Write) -> str:
    """Write a new file."""
    check_path(bench, asked.path)
    if asked.path not in bench.written and await is_there(bench, asked.path):
        raise ToolRefused(f"{asked.path} is there already; change it with edit")
    await check_source(asked.path, asked.content, before=None)
    found = await linted(bench, {asked.path: asked.content.encode("utf-8", "surrogateescape")})
    return f"{asked.path} is written, {len(asked.content.splitlines())} lines{found}"


def check_path(bench: Bench, path: str) -> None:
    """Raises ToolRefused for a path that may not be written."""
    if reason := bench.refusal(path):
        raise ToolRefused(reason)


async def is_there(bench: Bench, path: str) -> bool:
    """Whether there is a file."""
    try:
        await bench.workspace.read(path, size=1)
    except InvalidInput:
        return False
    return True


async def check_source(path: str, text: str, *, before: str | None) -> None:
    """Raises ToolRefused when the file cannot be read by its language, unless that was so before."""
    problem = await _problem(path, text)
    if problem and (before is None or not await _problem(path, before)):
        raise ToolRefused(f"not done, it would break it: {problem}")


async def _problem(path: str, text: str) -> str:
    try:
        return "; ".join(await bounded_call(len(text), content_problems, [(path, text)]))
    except LimitExceeded as error:
        raise ToolRefused(f"{path}: reading it {error}; write less at once") from None


def _not_once(text: str, old: str, count: int) -> str:
    if count:
        lines = [str(text.count("\n", 0, at) + 1) for at in _places(text, old)][:10]
        return f"old stands there {count} times, at lines {', '.join(lines)}; take more lines around it"
    if near := nearest(text, old):
        return f"old does not stand there exactly; nearest are these lines, as they are:\n{near}"
    return "old does not stand there, nor anything like it; read the file again"


def _places(text: str, old: str) -> list[int]:
    found, at = [], text.find(old)
    while at >= 0:
        found.append(at)
        at = text.find(old, at + len(old))
    return found


EDITING = (Tool("edit", Edit, edit), Tool("write", Write, write))
