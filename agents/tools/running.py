"""The tool that runs commands."""

from __future__ import annotations

from pydantic import Field

from agents.tools.bench import Bench
from agents.tools.shown_text import head_and_tail
from agents.tools.tool import Tool, ToolRefused
from contracts.base.model import Model
from contracts.ports.sandbox import Verdict

_SECONDS = 600
_SCRIPTED = frozenset({"npm", "yarn", "pnpm"})
"""Programs that pass on to a script only what follows `--`."""


class RunCommand(Model):
    """Run a shell command in the repository's root. There is no network. Nothing of it goes on afterwards; the files it wrote stay."""  # noqa: E501 - part of prompts

    command: str = Field(min_length=1, max_length=20_000)
    seconds: int | None = Field(default=None, ge=1, le=_SECONDS, description="its limit of time")


async def run(bench: Bench, asked: RunCommand) -> str:
    """Run a command and show how it ended."""
    return await _shown(bench, ("sh", "-c", asked.command), asked.seconds)


class RunTests(Model):
    """Run the repository's tests: those that are named, or all."""

    tests: tuple[str, ...] = Field(
        default=(), max_length=50, description="ids such as tests/test_a.py::test_b, files or folders"
    )
    seconds: int | None = Field(default=None, ge=1, le=_SECONDS, description="its limit of time")


async def run_tests(bench: Bench, asked: RunTests) -> str:
    """Run tests and show how they ended."""
    if not bench.test:
        raise ToolRefused("no command is known that runs the tests here; use `run`")
    if options := [name for name in asked.tests if name.startswith("-") or not name.strip()]:
        raise ToolRefused(f"{options[0]!r} is no test; for options use `run`")
    between = ("--",) if asked.tests and bench.test[0] in _SCRIPTED else ()
    return await _shown(bench, (*bench.test, *between, *asked.tests), asked.seconds)


async def _shown(bench: Bench, argv: tuple[str, ...], seconds: int | None) -> str:
    result = await bench.exec(argv, seconds)
    ends = {
        Verdict.TIMEOUT: "it was ended at its limit of time",
        Verdict.OOM: "it was ended at its limit of memory",
        Verdict.OUTPUT_LIMIT: "it was ended at its limit of output",
    }
    end = ends.get(result.verdict, f"exit code {result.exit_code}")
    output = b"\n".join(part for part in (result.stdout.rstrip(), result.stderr.rstrip()) if part)
    text = head_and_tail(output.decode("utf-8", "replace"), bench.output_characters)
    # No time: the same work must be the same request.
    return f"{end}\n{text}".rstrip()


RUNNING = (Tool("run", RunCommand, run), Tool("test", RunTests, run_tests))
