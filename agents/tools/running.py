"""The tool that runs commands."""

from __future__ import annotations

from pydantic import Field

from agents.tools.bench import Bench
from agents.tools.shown_text import head_and_tail
from agents.tools.test_output import FILE, INTO_FILE, MOST_SHOWN, SHOW
from agents.tools.tool import Tool, ToolRefused
from contracts.base.model import Model
from contracts.ports.sandbox import Verdict
from contracts.ports.workspace import ExecResult

_SECONDS = 600
_SCRIPTED = frozenset({"npm", "yarn", "pnpm"})
"""Programs that pass on to a script only what follows `--`."""


class RunCommand(Model):
    """Run a shell command in the repository's root. There is no network. Nothing of it goes on afterwards; the files it wrote stay."""  # noqa: E501 - part of prompts

    command: str = Field(min_length=1, max_length=20_000)
    seconds: int | None = Field(default=None, ge=1, le=_SECONDS, description="its limit of time")


async def run(bench: Bench, asked: RunCommand) -> str:
    """Run a command and show how it ended."""
    result = await bench.exec(("sh", "-c", asked.command), asked.seconds)
    text = head_and_tail(_text(result.stdout, result.stderr), bench.output_characters)
    # No time: the same work must be the same request.
    return f"{_end(result)}\n{text}".rstrip()


class RunTests(Model):
    """Run the repository's tests: those that are named, or all."""

    tests: tuple[str, ...] = Field(
        default=(), max_length=50, description="ids such as tests/test_a.py::test_b, files or folders"
    )
    seconds: int | None = Field(default=None, ge=1, le=_SECONDS, description="its limit of time")


async def run_tests(bench: Bench, asked: RunTests) -> str:
    """Run tests and show how they ended: what their runner counts and names, then the ends of its output.

    All of the output stays in a file, however much it is and whatever ended them.
    """
    known = bench.test or bench.test_for(bench.written)
    if not known:
        raise ToolRefused("no command is known that runs the tests here; use `run`")
    if options := [name for name in asked.tests if name.startswith("-") or not name.strip()]:
        raise ToolRefused(f"{options[0]!r} is no test; for options use `run`")
    between = ("--",) if asked.tests and known[0] in _SCRIPTED else ()
    command = (*known, *between, *asked.tests)
    result = await bench.exec(("sh", "-c", INTO_FILE, "sh", FILE, *command), asked.seconds)
    shown = await bench.exec(("sh", "-c", SHOW, "sh", FILE, str(min(MOST_SHOWN, bench.output_characters))))
    named = _text(shown.stderr)
    before = await bench.on_base() if result.exit_code else ""
    return "\n".join(filter(None, (_end(result), named, before, _text(shown.stdout, result.stderr))))


def _end(result: ExecResult) -> str:
    ends = {
        Verdict.TIMEOUT: "it was ended at its limit of time",
        Verdict.OOM: "it was ended at its limit of memory",
        Verdict.OUTPUT_LIMIT: "it was ended at its limit of output",
    }
    return ends.get(result.verdict, f"exit code {result.exit_code}")


def _text(*outputs: bytes) -> str:
    return b"\n".join(filter(None, (output.rstrip() for output in outputs))).decode("utf-8", "replace")


RUNNING = (Tool("run", RunCommand, run), Tool("test", RunTests, run_tests))
