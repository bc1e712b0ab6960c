"""What dead processes leave behind is removed; short versions of the commands that kill, load and time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import SandboxLimits
from sandbox_runner.engine import creator
from sandbox_runner.engine.reaper import Reaper
from sandbox_runner.local import launchers
from sandbox_runner.local.cgroups import Cgroup, remove_abandoned
from tests.sandbox.probing import until
from tests.support import need
from tests.support.docker_engine import missing

ROOT = Path(__file__).parents[2]
DEAD = "/".join([*creator.this_process().split("/")[:-1], "1"])
_UNIFIED = Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")


@contextmanager
def _sleeper(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "3600"], env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_launchers_of_dead_processes_are_ended_and_no_others() -> None:
    (name,) = set(launchers.marked()) - {"LANG"}
    with _sleeper({name: DEAD}) as orphan, _sleeper(launchers.marked()) as mine, _sleeper({}) as stranger:
        assert orphan.pid in launchers.abandoned()
        assert not {mine.pid, stranger.pid}.intersection(launchers.abandoned())
        assert launchers.end_abandoned() >= 1
        assert orphan.wait(timeout=10) < 0
        assert mine.poll() is None
        assert stranger.poll() is None


def _cgroup_of(maker: str, parent: Path) -> Path:
    """A group such as `maker` makes, without limits: no controller is needed to remove one."""
    return parent / f"multi-agent-sandbox:{maker.replace('/', ':')}:0123abcd"


def test_groups_are_named_after_their_maker(tmp_path: Path) -> None:
    group = Cgroup.create(tmp_path, SandboxLimits())
    assert group.folder.name.startswith(_cgroup_of(creator.this_process(), tmp_path).name[:-8])


def test_control_groups_of_dead_processes_are_removed_with_what_runs_in_them() -> None:
    parent = next((path for path in _UNIFIED if (path / "cgroup.procs").exists()), None)
    need(parent is not None and os.access(parent, os.W_OK), "no control group (v2) may be made")
    assert parent is not None
    abandoned, mine = _cgroup_of(DEAD, parent), _cgroup_of(creator.this_process(), parent)
    abandoned.mkdir()
    mine.mkdir()
    try:
        with _sleeper({}) as process:
            (abandoned / "cgroup.procs").write_text(str(process.pid))
            assert remove_abandoned(parent) >= 1
            assert process.wait(timeout=10) < 0
        assert not abandoned.exists()
        assert mine.exists()
    finally:
        for group in (abandoned, mine):
            if group.exists():
                group.rmdir()


async def test_an_outage_is_logged_once_and_never_raised(capfd: pytest.CaptureFixture[str]) -> None:
    outcomes: list[int | Exception] = [
        SandboxUnavailable("it is away"),
        SandboxUnavailable("it is away"),
        0,
        SandboxUnavailable("it is away"),
    ]

    async def reap() -> int:
        match outcomes.pop(0):
            case int(count):
                return count
            case error:
                raise error

    structlog.reset_defaults()
    reaper = Reaper("docker", reap)
    while outcomes:
        await reaper.once()
    said = "".join(capfd.readouterr())
    assert said.count("reaper_failed") == 2
    assert said.count("reaper_recovered") == 1


async def test_a_reaper_works_at_once_and_stops() -> None:
    calls: list[None] = []

    async def reap() -> int:
        calls.append(None)
        return 0

    reaper = Reaper("docker", reap)
    reaper.start(at_once=True)
    await until("it has reaped", lambda: calls)
    await reaper.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def _command(module: str, *words: str) -> str:
    need(not missing(), missing())
    done = subprocess.run(
        [sys.executable, "-m", f"tests.sandbox.{module}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["bubblewrap", "namespaces"])
def test_a_user_killed_at_any_step_leaves_nothing(backend: str) -> None:
    out = _command("kills", "--times", "1", "--backend", backend)
    assert out.count("users killed at") == 6


@pytest.mark.slow
def test_a_user_and_an_engine_killed_between_create_and_start_leave_nothing() -> None:
    out = _command(
        "kills", "--times", "1", "--engines", "1", "--backend", "docker", "--step", "sandbox.created"
    )
    assert "users killed at sandbox.created" in out
    assert "engines killed at sandbox.created" in out


@pytest.mark.slow
def test_many_at_once_leave_nothing() -> None:
    out = _command("many", "--count", "12", "--backend", "bubblewrap")
    assert "12 executions, nothing is left" in out


@pytest.mark.slow
def test_rogues_disturb_neither_the_others_nor_the_engine() -> None:
    out = _command("crowd", "--rogues", "8", "--backend", "docker")
    assert "8 rogues and 4 others at once, all others well" in out


@pytest.mark.slow
def test_latency_is_measured() -> None:
    document = json.loads(_command("latency", "--rounds", "1", "--backend", "namespaces", "--json"))
    assert set(document["milliseconds"]["namespaces"]) == {"subprocess", "cold", "warm", "ratios", "more_ms"}
