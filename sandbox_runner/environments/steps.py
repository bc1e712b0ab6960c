"""The steps of making an environment, and how a failed one is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from contracts.base.errors import EnvironmentFailed
from contracts.base.text import visible_line
from contracts.ports.sandbox import Verdict
from contracts.ports.workspace import ExecResult

_LINES: Final = 4
_LINE: Final = 200
_KEPT: Final = 64_000
_FRAME: Final = (
    "note: ",
    "hint: ",
    "\N{MULTIPLICATION SIGN} ",
    "\N{BOX DRAWINGS LIGHT ARC UP AND RIGHT}",
    "[end of output]",
)
"""How lines begin that pip puts around what a build printed."""
FOLDER_HELPS: Final = "or name a folder of yours with --environment DIR"


def failed(step: str, why: str, output: bytes, change: str) -> EnvironmentFailed:
    """What is told of a step that failed: which, why, its last lines, what to change."""
    lines = [line.strip() for line in output[-_KEPT:].decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_FRAME)]
    said = " | ".join(visible_line(line[:_LINE]) for line in told[-_LINES:])
    return EnvironmentFailed(f"environment, step {step}: {why}: {said or 'it printed nothing'}; {change}")


def check_step(step: str, result: ExecResult, change: str) -> ExecResult:
    """Return the result of a command inside. Raises EnvironmentFailed when it did not succeed."""
    if result.verdict is Verdict.OK:
        return result
    output = result.stdout + b"\n" + result.stderr
    if result.verdict is Verdict.TIMEOUT:
        why = f"did not end within {result.seconds:.0f} s"
        raise failed(step, why, output, f"set MULTI_AGENT_ENVIRONMENT_SECONDS higher, or {change}")
    why = f"exit code {result.exit_code}" if result.verdict is Verdict.FAILED else f"ended: {result.verdict}"
    raise failed(step, why, output, change)


async def run_outside(
    argv: Sequence[str],
    *,
    folder: Path,
    variables: Mapping[str, str],
    seconds: float,
    user: int | None = None,
) -> tuple[int | None, bytes]:
    """Run a program of ours with a network; its exit code, None at the end of its time, and its output.

    user: whom root runs it as; None for this process's own.
    It is ended with all that it started when the caller is cancelled.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=folder,
        env=dict(variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=None if user is None else (),
    )
    try:
        async with asyncio.timeout(seconds):
            output = await _tail(process)
            return await process.wait(), output
    except TimeoutError:
        return None, b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _tail(process: asyncio.subprocess.Process) -> bytes:
    """Read to the end; the last part of it."""
    assert process.stdout is not None
    kept = b""
    while part := await process.stdout.read(_KEPT):
        kept = (kept + part)[-_KEPT:]
    return kept
