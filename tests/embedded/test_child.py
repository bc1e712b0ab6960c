"""A child process never outlives its parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.base.errors import Unavailable
from multi_agent.embedded.child import ChildProcess
from tests.embedded.processes import is_running, program, wait_until

ENV = {"PATH": os.environ["PATH"]}
GUARD = Path(sys.modules[ChildProcess.__module__].__file__ or "").with_name("parent_guard.py")

PARENT = """
import sys, threading, time
from pathlib import Path
from multi_agent.embedded.child import ChildProcess
log = Path(sys.argv[1])
child = ChildProcess(["sh", "-c", "echo $$; exec sleep 600"], log=log, env={"PATH": "/bin:/usr/bin"})
if sys.argv[2] == "thread":
    starter = threading.Thread(target=child.start)
    starter.start()
    starter.join()
else:
    child.start()
while not log.read_text().strip():
    time.sleep(0.01)
print(log.read_text().strip(), child.pid, flush=True)
time.sleep(600)
"""


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


@pytest.mark.parametrize("thread", ["main", "thread"])
def test_it_dies_when_its_parent_is_killed(tmp_path: Path, thread: str) -> None:
    with program(PARENT, str(tmp_path / "log"), thread) as (parent, line):
        pids = [int(word) for word in line.split()]
        assert all(is_running(pid) for pid in pids)
        parent.kill()
        assert wait_until(lambda: not any(is_running(pid) for pid in pids))


def test_it_dies_with_its_watcher(tmp_path: Path) -> None:
    with program(PARENT, str(tmp_path / "log"), "thread") as (_, line):
        service, watcher = (int(word) for word in line.split())
        assert service != watcher
        os.kill(watcher, 9)
        assert wait_until(lambda: not is_running(service))


def test_it_does_not_start_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for mode in ([], ["--watch"]):
        command = [sys.executable, "-I", "-S", str(GUARD), "--parent", "1", *mode, "--", "touch", str(mark)]
        assert subprocess.run(command, check=False).returncode == 126
    assert not mark.exists()


def test_the_watcher_hands_on_the_exit_status() -> None:
    command = [sys.executable, "-I", "-S", str(GUARD), "--parent", str(os.getpid()), "--watch", "--"]
    assert subprocess.run([*command, "sh", "-c", "exit 7"], check=False).returncode == 7


async def test_stop_asks_first_and_kills_then(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    polite = f"trap 'touch {mark}; exit' TERM; echo up; while :; do sleep 0.01; done"
    deaf = "trap '' TERM; echo up; while :; do sleep 0.01; done"
    for number, (script, grace) in enumerate([(polite, 30.0), (deaf, 0.05)]):
        log = tmp_path / f"log-{number}"
        child = ChildProcess(["sh", "-c", script], log=log, env=ENV)
        child.start()
        assert wait_until(lambda log=log: "up" in log.read_text())  # type: ignore[misc]  # a default keeps it
        await child.stop(grace)
        assert not child.alive
        assert not is_running(child.pid)
    assert mark.exists()


async def test_stopping_is_allowed_at_any_time(tmp_path: Path) -> None:
    child = ChildProcess(["true"], log=tmp_path / "log", env=ENV)
    await child.stop()
    child.kill()
    assert child.pid == 0
    child.start()
    await child.stop()
    await child.stop()


async def test_ready_means_what_the_caller_says(tmp_path: Path) -> None:
    child = ChildProcess(["sleep", "600"], log=tmp_path / "log", env=ENV)
    child.start()
    await child.wait_ready(yes, 1.0)
    with pytest.raises(Unavailable, match="sleep was not ready after 0 s"):
        await child.wait_ready(no, 0.0)
    await child.stop()


async def test_a_service_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    child = ChildProcess(["sh", "-c", "echo no memory left; exit 3"], log=tmp_path / "deep" / "log", env=ENV)
    child.start()
    with pytest.raises(Unavailable, match=r"ended at once(.|\n)*no memory left"):
        await child.wait_ready(no, 30.0)


async def test_it_inherits_no_secret_and_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "hunter2")
    log = tmp_path / "log"
    child = ChildProcess(["sh", "-c", "env; cat; ps -o sid= -p $$"], log=log, env=ENV)
    child.start()
    assert wait_until(lambda: not child.alive)
    assert "PATH=" in log.read_text()
    assert "CANARY" not in log.read_text()
    assert int(log.read_text().split()[-1]) == child.pid
