"""Failpoints: where they are, what they do, and that nobody meets one by accident."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.base.errors import NotConfigured, StoreUnavailable
from contracts.base.failpoints import FAILPOINTS, Action, Trap, arm, disarm, failpoint, parse_traps
from multi_agent.bootstrap import SCRATCH_MARK, arm_failpoints
from multi_agent.settings import Settings
from tests.e2e.conftest import COMMAND

ROOT = Path(__file__).parents[2]
CALL = re.compile(r'failpoint\(\s*"([a-z._]+)"')
SHARED_CALL = re.compile(r'failpoint_of\(\s*[\w.]+, "([a-z_]+)"')
PART = re.compile(r'failpoints="([a-z_]+)"')


def test_every_failpoint_is_called_and_every_call_is_known() -> None:
    texts = [
        path.read_text("utf-8")
        for package in ("agents", "artifacts", "contracts", "orchestrator", "sandbox_runner")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "failpoints.py"
    ]
    called = [name for text in texts for name in CALL.findall(text)]
    shared = [name for text in texts for name in SHARED_CALL.findall(text)]
    called += [f"{part}.{name}" for text in texts for part in PART.findall(text) for name in shared]
    assert sorted(called) == sorted(FAILPOINTS)


def test_unarmed_ones_do_nothing() -> None:
    disarm()
    for name in FAILPOINTS:
        failpoint(name)


def test_a_strike_is_noted_before_it_happens(tmp_path: Path) -> None:
    log = tmp_path / "log"
    arm(parse_traps("orchestrator.after_commit=lose,worker.after_read=note"), log, 1)
    try:
        failpoint("worker.after_read", "about it")
        with pytest.raises(StoreUnavailable, match="answer was lost"):
            failpoint("orchestrator.after_commit")
    finally:
        disarm()
    lines = [line.split(" ", 2)[2] for line in log.read_text().splitlines()]
    assert lines == ["worker.after_read note about it", "orchestrator.after_commit lose "]


def test_the_same_seed_strikes_at_the_same_times(tmp_path: Path) -> None:
    def strikes(seed: int) -> list[int]:
        log = tmp_path / f"log-{seed}-{len(list(tmp_path.iterdir()))}"
        arm([Trap("worker.after_read", Action.NOTE, 0.3)], log, seed)
        found = []
        for number in range(50):
            before = log.stat().st_size
            failpoint("worker.after_read")
            if log.stat().st_size > before:
                found.append(number)
        disarm()
        return found

    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)


@pytest.mark.parametrize(("action", "number"), [("kill", signal.SIGKILL), ("stop", signal.SIGSTOP)])
def test_kill_and_stop_are_real_signals(tmp_path: Path, action: str, number: int) -> None:
    code = (
        "import sys, pathlib; from contracts.base.failpoints import arm, failpoint, parse_traps\n"
        "arm(parse_traps(sys.argv[1]), pathlib.Path(sys.argv[2]), 1)\n"
        "failpoint('worker.after_read')\n"
    )
    argv = [sys.executable, "-c", code, f"worker.after_read={action}", str(tmp_path / "log")]
    child = subprocess.Popen(argv)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    if number == signal.SIGKILL:
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == number
    else:
        assert os.WIFSTOPPED(status)
        child.kill()
        os.waitpid(child.pid, 0)
    child.returncode = 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere=kill", "'nowhere': unknown; known are"),
        ("worker.after_read=explode", "must be NAME=ACTION"),
        ("worker.after_read=kill@often", "must be NAME=ACTION"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(NotConfigured, match=message):
        parse_traps(text)


def test_they_are_refused_outside_a_scratch_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, failpoints="worker.after_read=kill")
    with pytest.raises(NotConfigured, match=r"scratch folders of `.*multi-agent chaos`"):
        arm_failpoints(settings)
    failpoint("worker.after_read")
    (tmp_path / SCRATCH_MARK).touch()
    arm_failpoints(settings.model_copy(update={"failpoints": "worker.after_read=note"}))
    failpoint("worker.after_read")
    disarm()
    assert "worker.after_read note" in (tmp_path / "failpoints.log").read_text()


def test_a_worker_in_production_refuses_to_start_with_them(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "MULTI_AGENT_FAILPOINTS": "worker.after_read=kill"}
    env |= {"MULTI_AGENT_DATA_DIR": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        [*COMMAND, "worker"], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "unset it" in done.stderr
