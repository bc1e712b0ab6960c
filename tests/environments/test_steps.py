"""A step that fails or hangs is told in one line, and what it started is ended."""

from __future__ import annotations

import asyncio
import os
import select
from pathlib import Path

import pytest

from contracts.base.errors import EnvironmentFailed
from contracts.ports.sandbox import Verdict
from contracts.ports.workspace import ExecResult
from sandbox_runner.environments.steps import check_step, run_outside

CHANGE = "change it"


def result(verdict: Verdict, code: int | None, *, out: bytes = b"", err: bytes = b"") -> ExecResult:
    return ExecResult(1, verdict, code, out, err, 5.0)


@pytest.mark.parametrize(
    ("done", "told"),
    [
        (
            result(Verdict.FAILED, 3, out=b"one\ntwo\n", err=b"three\n\nfour\nfive\x1b[31m\n"),
            "environment, step setup: exit code 3: two | three | four | five\\x1b[31m; change it",
        ),
        (
            result(Verdict.TIMEOUT, None, out=b"waits\n"),
            "environment, step setup: did not end within 5 s: waits; "
            "set MULTI_AGENT_ENVIRONMENT_SECONDS higher, or change it",
        ),
        (
            result(
                Verdict.FAILED, 1, err="a\n  b\n [end of output]\nnote: c\n× d\n╰─> e\nhint: f\n".encode()
            ),
            "environment, step setup: exit code 1: a | b; change it",
        ),
        (result(Verdict.OOM, None), "environment, step setup: ended: oom: it printed nothing; change it"),
    ],
)
def test_which_step_its_last_lines_and_what_to_change(done: ExecResult, told: str) -> None:
    with pytest.raises(EnvironmentFailed) as error:
        check_step("setup", done, CHANGE)
    assert str(error.value) == told


def test_a_step_that_succeeded_goes_on() -> None:
    done = result(Verdict.OK, 0)
    assert check_step("setup", done, CHANGE) is done


def _shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


async def test_a_program_sees_what_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    code, output = await run_outside(
        ("env",), folder=tmp_path, variables={"PATH": os.defpath, "A": "b"}, seconds=20
    )
    assert (code, sorted(output.decode().split())) == (0, ["A=b", f"PATH={os.defpath}"])


async def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    script = "sleep 300 & echo $! > child; wait"
    variables = {"PATH": os.defpath}
    assert await run_outside(_shell(script), folder=tmp_path, variables=variables, seconds=1) == (None, b"")
    assert _ends(int((tmp_path / "child").read_text()))


async def test_who_is_cancelled_ends_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own")
    script = "echo $$ > own; exec sleep 300"
    variables = {"PATH": os.defpath}
    running = asyncio.create_task(
        run_outside(_shell(script), folder=tmp_path, variables=variables, seconds=60)
    )
    pid = int(await asyncio.to_thread((tmp_path / "own").read_text))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert _ends(pid)


def _ends(pid: int) -> bool:
    """Wait for the end of a process, of which another one may be the parent."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 20)[0])
    finally:
        os.close(process)


async def test_only_the_end_of_much_output_is_kept(tmp_path: Path) -> None:
    script = "yes | head -c 5000000; echo end"
    code, output = await run_outside(
        _shell(script), folder=tmp_path, variables={"PATH": os.defpath}, seconds=60
    )
    assert code == 0
    assert output.endswith(b"end\n")
    assert len(output) <= 64_000
