"""The Workspace port, by every backend: commands, their numbers and their ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput, SandboxUnavailable
from contracts.ports.sandbox import Isolation
from contracts.ports.workspace import CommandLimits, Environment, Workspace
from sandbox_runner.probes.host import new_marker, processes_with
from sandbox_runner.workspace.commands import REMEMBERED
from tests.sandbox.probing import until
from tests.workspace.conftest import PLACES, Opener, shell


async def test_the_tree_is_placed_in_the_way_asked_for(opener: Opener) -> None:
    async with opener.open() as workspace:
        assert workspace.placement == opener.placement
        assert workspace.backend == opener.backend.backend
        expected = Isolation.CONTAINER if workspace.backend == "docker" else Isolation.NAMESPACES
        assert workspace.isolation is expected


async def test_a_command_ends_as_in_a_sandbox(workspace: Workspace) -> None:
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()); sys.stderr.write('e'); sys.exit(7)"
    result = await workspace.exec(1, ("python", "-c", code), stdin=b"in\xff")
    assert (result.number, result.verdict, result.exit_code) == (1, "failed", 7)
    assert (result.stdout, result.stderr) == (b"in\xff", b"e")
    missing = await workspace.exec(2, ("no-such-command",))
    assert (missing.verdict, missing.exit_code) == ("failed", 127)


async def test_files_stay_from_one_command_to_the_next(workspace: Workspace) -> None:
    await shell(workspace, 1, "mkdir made; echo 1 > made/file; echo 2 > /tmp/file")
    assert (await shell(workspace, 2, "pwd; cat made/file /tmp/file")).stdout == b"/work\n1\n2\n"


async def test_nothing_runs_between_commands(workspace: Workspace) -> None:
    marker = new_marker()
    result = await shell(workspace, 1, f"setsid sleep {marker} >/dev/null 2>&1 & echo started")
    assert result.stdout == b"started\n"
    assert processes_with(marker) == []
    # Only process 1 and the command itself.
    assert (await shell(workspace, 2, "ls -d /proc/[0-9]* | wc -l")).stdout.strip() in {b"2", b"3", b"4"}


@pytest.mark.parametrize("place", PLACES[:1], indirect=True, ids="-".join)
async def test_many_commands_leave_nothing_open(workspace: Workspace) -> None:
    """A program may have 256 files open; what serves it has what the commands before it left, too."""
    for number in range(1, 101):
        await workspace.exec(number, ("true",))
    assert [entry.name for entry in await workspace.list(".")]
    assert (await shell(workspace, 101, "ls /proc/self/fd | wc -l")).stdout.strip() in {b"3", b"4"}


async def test_a_repeated_number_is_answered_from_memory(workspace: Workspace) -> None:
    append = ("sh", "-c", "echo x >> count; cat count")
    first = await workspace.exec(1, append)
    assert await workspace.exec(1, append) == first
    assert (await workspace.exec(2, append)).stdout == b"x\nx\n"
    assert (await workspace.exec(1, append)).stdout == b"x\n"


async def test_two_who_ask_for_one_number_get_one_answer(workspace: Workspace) -> None:
    append = ("sh", "-c", "sleep 0.2; echo x >> count; cat count")
    first, second = await asyncio.gather(workspace.exec(1, append), workspace.exec(1, append))
    assert first == second
    assert first.stdout == b"x\n"


@pytest.mark.parametrize("number", [0, -1, 3])
async def test_a_number_out_of_order_is_refused(workspace: Workspace, number: int) -> None:
    await shell(workspace, 1, "true")
    with pytest.raises(InvalidInput, match=f"number {number}: must be 2"):
        await workspace.exec(number, ("true",))


async def test_a_number_belongs_to_one_command(workspace: Workspace) -> None:
    await shell(workspace, 1, "true")
    with pytest.raises(InvalidInput, match="number 1: belongs to another command"):
        await workspace.exec(1, ("rm", "-rf", "."))
    assert "a.txt" in await workspace.glob("*")


async def test_old_answers_are_forgotten_and_not_given_again(workspace: Workspace) -> None:
    for number in range(1, REMEMBERED + 2):
        await workspace.exec(number, ("true",))
    with pytest.raises(InvalidInput, match="number 1: its answer is forgotten"):
        await workspace.exec(1, ("true",))
    assert (await workspace.exec(2, ("true",))).verdict == "ok"


async def test_a_cancelled_command_goes_on_and_keeps_its_answer(workspace: Workspace) -> None:
    command = ("sh", "-c", "sleep 0.5; echo x >> count; cat count")
    asked = asyncio.create_task(workspace.exec(1, command))
    await asyncio.sleep(0.1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await workspace.exec(1, command)).stdout == b"x\n"


async def test_calls_wait_for_each_other(workspace: Workspace) -> None:
    slow = asyncio.create_task(workspace.exec(1, ("sh", "-c", "sleep 0.3; echo late > late")))
    await asyncio.sleep(0.05)
    assert await workspace.read("late") == b"late\n"
    await slow


async def test_a_command_ends_at_its_own_time(workspace: Workspace) -> None:
    result = await workspace.exec(1, ("sleep", "60"), limits=CommandLimits(wall_seconds=0.5))
    assert (result.verdict, result.exit_code) == ("timeout", None)
    assert result.seconds < 3
    assert (await shell(workspace, 2, "echo on")).stdout == b"on\n"


async def test_output_has_a_limit_of_its_own(workspace: Workspace) -> None:
    result = await workspace.exec(1, ("yes",), limits=CommandLimits(output_bytes=1_000))
    assert (result.verdict, len(result.stdout)) == ("output_limit", 1_000)
    assert (await shell(workspace, 2, "echo on")).stdout == b"on\n"


@pytest.mark.parametrize("argv", [(), ("",), ("a\0b",), "true"])
async def test_no_command_is_the_callers_mistake(workspace: Workspace, argv: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="argv"):
        await workspace.exec(1, argv)
    with pytest.raises(InvalidInput, match=r"limits.wall_seconds: must be above 0"):
        await workspace.exec(1, ("true",), limits=CommandLimits(wall_seconds=0))
    assert (await workspace.exec(1, ("true",))).verdict == "ok"


async def test_a_closed_workspace_refuses_and_leaves_nothing(opener: Opener) -> None:
    marker = new_marker()
    async with opener.open() as workspace:
        running = asyncio.create_task(workspace.exec(1, ("sleep", marker)))
        await until("it runs", lambda: processes_with(marker))
    assert processes_with(marker) == []
    with pytest.raises(SandboxUnavailable):
        await running
    with pytest.raises(SandboxUnavailable, match="closed"):
        await workspace.exec(2, ("true",))
    with pytest.raises(SandboxUnavailable, match="closed"):
        await workspace.read("a.txt")
    await workspace.close()


async def test_an_environment_is_there_and_read_only(opener: Opener, packages: Path) -> None:
    environment = Environment({"/opt/packages": str(packages)}, {"PYTHONPATH": "/opt/packages"})
    async with opener.open(environment=environment) as workspace:
        told = await workspace.exec(1, ("python", "-c", "import package; print(package.value)"))
        assert told.stdout == b"7\n"
        refused = await workspace.exec(2, ("sh", "-c", "echo x > /opt/packages/package.py"))
        assert refused.exit_code
        assert b"Read-only file system" in refused.stderr
        assert (await workspace.diff()).files == {}


@pytest.mark.parametrize("target", ["/work/x", "/mnt/layer0", "relative", "/opt/../work", "/proc"])
async def test_an_environment_does_not_cover_the_tree(opener: Opener, packages: Path, target: str) -> None:
    with pytest.raises(InvalidInput, match=r"environment.mounts"):
        async with opener.open(environment=Environment({target: str(packages)})):
            pass
