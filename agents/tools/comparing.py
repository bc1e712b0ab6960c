"""The tool that shows what was changed."""

from __future__ import annotations

from pydantic import Field

from agents.tools.bench import Bench
from agents.tools.shown_text import as_fit, cut_line
from agents.tools.tool import Tool, ToolRefused
from contracts.base.model import Model
from contracts.ports.sandbox import Verdict

_LINES = 600
_GIT = ("git", "diff", "--no-ext-diff", "--no-textconv", "--no-color")


class Diff(Model):
    """Show what this work has changed, as a unified diff: everything, or a file or folder. A long one is shown in parts: ask for the lines you need."""  # noqa: E501 - part of prompts

    path: str = Field(default="", max_length=1_024, description="a file or folder; empty for everything")
    first: int = Field(default=1, ge=1, description="the first line of the diff to show")


async def diff(bench: Bench, asked: Diff) -> str:
    """Show a part of the difference to the base."""
    ended = await bench.exec((*_GIT, bench.base, "--", *([f":(literal){asked.path}"] if asked.path else [])))
    if ended.verdict is Verdict.OUTPUT_LIMIT:
        raise ToolRefused("the diff is too large to be shown; name a file, or a smaller folder")
    if ended.exit_code != 0:
        raise ToolRefused(f"git diff: {ended.stderr.decode('utf-8', 'replace')[:500]}")
    lines = ended.stdout.decode("utf-8", "replace").splitlines()
    start = asked.first - 1
    if start >= max(len(lines), 1):
        raise ToolRefused(f"the diff has {len(lines)} lines, and line {asked.first} is not one of them")
    shown = as_fit(map(cut_line, lines[start : start + _LINES]), bench.output_characters)
    last = start + len(shown)
    rest = [f"({len(lines) - last} more lines; go on from {last + 1})"] if last < len(lines) else []
    return "\n".join([*shown, *rest]) or "nothing is changed"


COMPARING = (Tool("diff", Diff, diff, reads_only=True),)
