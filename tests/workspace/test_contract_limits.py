"""The Workspace port, by every backend: limits hold from outside, and the workspace goes on after them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.base.errors import ArtifactError, InvalidInput
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import Workspace, WorkspaceLimits
from tests.workspace.conftest import SMALL, Opener, shell
from tests.workspace.repositories import FILES

TINY = replace(SMALL, disk_mb=8, file_count=60)


def test_the_usual_limits() -> None:
    usual = WorkspaceLimits()
    assert (usual.cpus, usual.memory_mb, usual.disk_mb) == (1, 2_048, 1_024)
    assert (usual.command_seconds, usual.file_count) == (300, 50_000)


async def test_disk_is_limited_and_can_be_freed(opener: Opener) -> None:
    async with opener.open(TINY) as workspace:
        fill = "mkdir big; for i in 1 2 3; do head -c 4000000 /dev/zero > big/$i; done"
        full = await workspace.exec(1, ("sh", "-c", fill))
        assert b"No space left" in full.stderr
        with pytest.raises(InvalidInput, match="No space left"):
            await workspace.write("more", b"x" * 1_000_000)
        await shell(workspace, 2, "rm -rf big more; echo fits > small")
        assert (await workspace.diff()).files.keys() == {"small"}


async def test_files_are_limited_and_can_be_removed(opener: Opener) -> None:
    async with opener.open(TINY) as workspace:
        full = await workspace.exec(1, ("sh", "-c", "mkdir m; for i in $(seq 200); do echo > m/$i; done"))
        assert b"No space left" in full.stderr
        await shell(workspace, 2, "rm -r m; echo fits > small")


async def test_memory_is_limited_and_the_next_command_runs(opener: Opener) -> None:
    async with opener.open(replace(SMALL, memory_mb=96)) as workspace:
        hog = ("python", "-c", "x = []\nwhile True: x.append(bytes(8_000_000))")
        assert (await workspace.exec(1, hog)).verdict == "oom"
        assert (await shell(workspace, 2, "echo on")).stdout == b"on\n"
        assert (await workspace.exec(3, hog)).verdict == "oom"
        assert (await workspace.exec(4, ("false",))).verdict == "failed"


async def test_processes_are_limited(opener: Opener) -> None:
    async with opener.open(replace(SMALL, processes=12)) as workspace:
        many = await workspace.exec(1, ("sh", "-c", "for i in $(seq 60); do sleep 5 & done; wait"))
        assert many.verdict != "ok"
        assert (await shell(workspace, 2, "echo on")).stdout == b"on\n"


async def test_full_folders_for_temporary_files_are_told(opener: Opener) -> None:
    async with opener.open(TINY) as workspace:
        await workspace.exec(1, ("sh", "-c", "cat /dev/zero > /tmp/big"))
        starved = await workspace.exec(2, ("cat",), stdin=b"x" * 100_000)
        assert starved.verdict == "failed"
        assert b"standard input: No space left" in starved.stderr
        await shell(workspace, 3, "rm /tmp/big")
        assert (await workspace.exec(4, ("cat",), stdin=b"x" * 100_000)).stdout == b"x" * 100_000


async def test_a_tree_above_the_limit_is_refused_with_the_number(opener: Opener) -> None:
    with pytest.raises(InvalidInput, match=rf"has {len(FILES) + 1} files, limits.file_count allows 5"):
        async with opener.open(replace(SMALL, file_count=5)):
            pass


@pytest.mark.parametrize("name", WorkspaceLimits.__slots__)
async def test_a_limit_below_one_is_the_callers_mistake(opener: Opener, name: str) -> None:
    with pytest.raises(InvalidInput, match=rf"limits.{name}: must be above 0, is 0"):
        async with opener.open(replace(SMALL, **{name: 0})):
            pass


async def test_what_the_store_does_not_hold_is_told(opener: Opener) -> None:
    for base in (TreeBase("1" * 40), TreeBase(opener.project.commit, "2" * 40), TreeBase("HEAD")):
        with pytest.raises(ArtifactError):
            async with opener.open(base=base):
                pass


async def test_the_sandbox_is_that_of_every_program(workspace: Workspace) -> None:
    code = """
import os
print(os.getuid(), [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line])
for path in ("/usr/x", "/x", "/mnt/x", "/dev/x"):
    try:
        open(path, "w")
        print("wrote", path)
    except OSError:
        pass
print(os.listdir("/mnt/layer0"), [line for line in open("/proc/self/status") if line.startswith("CapEff")])
"""
    told = await workspace.exec(1, ("python", "-c", code))
    assert told.stdout.decode().splitlines()[0] == "65534 ['lo']"
    assert "wrote" not in told.stdout.decode()
    assert "CapEff:\\t0000000000000000" in told.stdout.decode()
    if workspace.backend != "docker":
        assert "\n[] [" in told.stdout.decode()
