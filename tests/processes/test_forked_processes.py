"""The processes of `run` and `up` are forked from one server, and behave like those that are started anew."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multi_agent.embedded.child import ChildProcess
from multi_agent.runtime.early import only_if_unserved
from multi_agent.runtime.forking.forked_processes import ForkedCommand, ForkedProcesses
from multi_agent.runtime.locks import FileLock
from multi_agent.settings import Settings
from tests.agents.owner import until
from tests.keeper.house import is_running, parent_of

SELF = (sys.executable, "-P", "-m", "multi_agent.cli")
LASTING = (*SELF, "worker", "--role", "reviewer", "--worker-id", "lasting-1")
SERVER = "multi_agent.cli.processes.forked"
SECONDS = 60.0


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """No Redis answers there: a worker waits for it until it is stopped."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MULTI_AGENT_DATA_DIR": str(tmp_path / "data"),
        "REDIS_URL": f"unix://{tmp_path / 'no.sock'}",
    }


@pytest.fixture
def forked(env: dict[str, str]) -> Iterator[ForkedProcesses]:
    made = ForkedProcesses(env)
    yield made
    made.close()


def shown(pid: int) -> list[str]:
    """The command line that others see."""
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")


async def started(forked: ForkedProcesses, env: dict[str, str], log: Path) -> ForkedCommand:
    """A worker that has set up its log."""
    process = forked(LASTING, log=log, env=env)
    assert isinstance(process, ForkedCommand)
    process.start()
    assert process.alive
    await until(lambda: log.exists() and "worker_started" in log.read_text(), SECONDS)
    return process


async def test_a_process_shows_its_own_command_and_ends_when_told(
    forked: ForkedProcesses, env: dict[str, str], tmp_path: Path
) -> None:
    process = await started(forked, env, tmp_path / "logs" / "w.log")
    assert shown(process.pid) == list(LASTING)
    assert SERVER in shown(parent_of(process.pid))
    assert os.getsid(process.pid) == process.pid, "Ctrl-C reaches the command alone"
    assert os.readlink(f"/proc/{process.pid}/fd/0") == os.devnull
    await process.stop(SECONDS)
    assert not process.alive
    assert "worker_stopped" in (tmp_path / "logs" / "w.log").read_text()


async def test_a_command_that_ends_is_heard_of(
    forked: ForkedProcesses, env: dict[str, str], tmp_path: Path
) -> None:
    process = forked((*SELF, "--version"), log=tmp_path / "log", env=env)
    process.start()
    await until(lambda: not process.alive, SECONDS)
    assert "version" in (tmp_path / "log").read_text()


async def test_a_killed_process_is_heard_of(
    forked: ForkedProcesses, env: dict[str, str], tmp_path: Path
) -> None:
    process = await started(forked, env, tmp_path / "w.log")
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: not process.alive, SECONDS)
    process.signal(signal.SIGTERM)  # nobody
    await process.stop()


async def test_a_lost_server_takes_its_processes_along_and_the_next_start_the_long_way(
    forked: ForkedProcesses, env: dict[str, str], tmp_path: Path
) -> None:
    process = await started(forked, env, tmp_path / "w.log")
    pid = process.pid
    os.kill(parent_of(pid), signal.SIGKILL)
    await until(lambda: not process.alive and not is_running(pid), SECONDS)
    assert isinstance(forked(LASTING, log=tmp_path / "w.log", env=env), ChildProcess)


async def test_what_did_not_start_yet_is_stopped_at_once(
    forked: ForkedProcesses, env: dict[str, str], tmp_path: Path
) -> None:
    process = forked(LASTING, log=tmp_path / "w.log", env=env)
    process.start()
    async with asyncio.timeout(1):
        await process.stop(SECONDS)
    assert not process.alive


CALLER = """
import asyncio, os, sys
from pathlib import Path
from multi_agent.runtime.forking.forked_processes import ForkedProcesses
log = Path(sys.argv[1])
async def main():
    process = forked(sys.argv[2:], log=log, env=dict(os.environ))
    process.start()
    while not log.exists() or "worker_started" not in log.read_text():
        await asyncio.sleep(0.05)
    print(process.pid, flush=True)
    await asyncio.sleep(600)
forked = ForkedProcesses(dict(os.environ))
asyncio.run(main())
"""


def test_nothing_is_left_of_a_killed_caller(env: dict[str, str], tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CALLER, str(tmp_path / "w.log"), *LASTING]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(argv, env=env | {"PYTHONPATH": root}, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        pid = int(caller.stdout.readline())
        server = parent_of(pid)
        caller.kill()
        asyncio.run(until(lambda: not is_running(pid) and not is_running(server), SECONDS))


def test_no_server_is_kept_for_a_folder_that_is_served(tmp_path: Path, forked: ForkedProcesses) -> None:
    settings = Settings(data_dir=tmp_path)
    other = FileLock(tmp_path / "stack.lock")
    assert only_if_unserved(settings, forked) is forked
    assert other.acquire()
    assert only_if_unserved(settings, forked) is None
    other.release()
    assert not forked.alive


def test_little_is_imported_before_the_server_starts() -> None:
    program = "import sys, multi_agent.cli.workflows.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "structlog", "rich", "redis"} & set(done.stdout.split())
