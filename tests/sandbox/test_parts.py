"""Parts of the sandbox by themselves: owners, control groups, the protocol with a guest that lies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import Isolation, SandboxLimits, SandboxRequest
from sandbox_runner.engine import creator
from sandbox_runner.engine.payload import BOOT, PYTHON_OPTIONS, GuestSetup, Job, boot_block, make_job
from sandbox_runner.engine.protocol import judge, run_job
from sandbox_runner.guest import wire
from sandbox_runner.local.cgroups import Cgroup, find_parent


def test_this_process_is_alive() -> None:
    assert creator.is_running(creator.this_process()) is True


def test_a_dead_process_and_its_heir_are_told_apart() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    boot_and_namespace = creator.this_process().rsplit("/", 2)[0]
    assert creator.is_running(f"{boot_and_namespace}/{child.pid}/1") is False
    own_pid = creator.this_process().split("/")[-2]
    assert creator.is_running(f"{boot_and_namespace}/{own_pid}/1") is False, "the number was given again"


def test_a_killed_process_that_nobody_waited_for_is_dead() -> None:
    child = subprocess.Popen(["sleep", "3600"])
    stat = Path(f"/proc/{child.pid}/stat").read_text()
    started = stat.rpartition(")")[2].split()[19]
    mark = f"{creator.this_process().rsplit('/', 2)[0]}/{child.pid}/{started}"
    assert creator.is_running(mark) is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert creator.is_running(mark) is False
    child.wait()


@pytest.mark.parametrize("text", ["", "x", "a/b/c/d", "///", "a/b/1/1"])
def test_of_strangers_nothing_is_known(text: str) -> None:
    assert creator.is_running(text) is None


def _group(folder: Path, controllers: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.subtree_control").write_text(controllers)
    (folder / "cgroup.procs").write_text("")


def test_the_nearest_group_with_limits_is_found(tmp_path: Path) -> None:
    _group(tmp_path, "cpu memory pids")
    _group(tmp_path / "user", "memory pids")
    _group(tmp_path / "user/session", "")
    own = tmp_path / "own"
    own.write_text("4:memory:/elsewhere\n0::/user/session\n")
    assert find_parent(tmp_path, own) == tmp_path / "user"
    _group(tmp_path / "user", "memory")
    assert find_parent(tmp_path, own) == tmp_path
    _group(tmp_path, "")
    assert find_parent(tmp_path, own) is None
    own.write_text("4:memory:/elsewhere\n")
    assert find_parent(tmp_path, own) is None
    assert find_parent(tmp_path, tmp_path / "missing") is None


def test_a_group_gets_all_limits(tmp_path: Path) -> None:
    group = Cgroup.create(tmp_path, SandboxLimits(memory_mb=64, processes=10, cpus=0.5))
    assert (group.folder / "memory.max").read_text() == str(64 * 1024 * 1024)
    assert (group.folder / "pids.max").read_text() == "12"
    assert group.oom_kills() == 0
    (group.folder / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert group.oom_kills() == 2
    with pytest.raises(SandboxUnavailable, match="cannot be removed"):
        group.remove()


class Guest:
    """A guest that says what it is told to."""

    def __init__(self, *frames: tuple[bytes, bytes]) -> None:
        self._said = [wire.HEAD.pack(kind, len(data)) + data for kind, data in frames]

    async def send(self, data: bytes) -> None:
        raise ConnectionResetError

    async def receive(self) -> bytes:
        return self._said.pop(0) if self._said else b""

    async def diagnosis(self) -> str:
        return "It said: boo"


REQUEST = SandboxRequest(argv=("true",), limits=SandboxLimits(wall_seconds=5, output_bytes=10))
STARTED = (wire.STARTED, b"")


def _result(job: Job, **changes: object) -> tuple[bytes, bytes]:
    result = {"end": "exit", "code": 0, "seconds": 1.0, "oom_kills": 0, "nonce": job.nonce, **changes}
    return wire.RESULT, json.dumps(result).encode()


async def _verdict(*frames: tuple[bytes, bytes], job: Job, oom: bool = False) -> str:
    heard = await run_job(Guest(*frames), REQUEST, job)
    return judge(heard, REQUEST, backend="test", isolation=Isolation.SYSCALLS, oom=oom).verdict


@pytest.fixture
def job() -> Job:
    return make_job(REQUEST, GuestSetup())


async def test_a_guest_that_never_starts_is_an_error(job: Job) -> None:
    with pytest.raises(SandboxUnavailable, match=r"before the program started\. It said: boo"):
        await run_job(Guest(), REQUEST, job)


async def test_a_broken_guest_is_an_error(job: Job) -> None:
    with pytest.raises(SandboxUnavailable, match="OSError: no"):
        await run_job(Guest(STARTED, (wire.BROKEN, b"OSError: no")), REQUEST, job)


async def test_a_giant_frame_is_an_error(job: Job) -> None:
    guest = Guest(STARTED)
    guest._said.append(wire.HEAD.pack(wire.STDOUT, 2**31))
    with pytest.raises(SandboxUnavailable, match="2147483648 bytes"):
        await run_job(guest, REQUEST, job)


async def test_a_result_without_the_nonce_is_no_result(job: Job) -> None:
    with pytest.raises(SandboxUnavailable, match="not its own"):
        await run_job(Guest(STARTED, _result(job, nonce="guessed")), REQUEST, job)


async def test_output_is_capped_here_too(job: Job) -> None:
    guest = Guest(
        STARTED, (wire.STDOUT, b"x" * 8), (wire.STDERR, b"y" * 8), (wire.STDOUT, b"z"), _result(job)
    )
    heard = await run_job(guest, REQUEST, job)
    assert (bytes(heard.stdout), bytes(heard.stderr)) == (b"x" * 8, b"y" * 2)


async def test_an_endless_tar_stream_is_a_broken_rule(job: Job) -> None:
    frames = [(wire.TAR, b"x" * 1_000_000)] * 200
    assert await _verdict(STARTED, _result(job), *frames, job=job) == "policy"


async def test_verdicts(job: Job) -> None:
    end = (wire.END, b"")
    assert await _verdict(STARTED, _result(job), end, job=job) == "ok"
    assert await _verdict(STARTED, _result(job, code=3), end, job=job) == "failed"
    assert await _verdict(STARTED, _result(job, oom_kills=1), end, job=job) == "oom"
    assert await _verdict(STARTED, _result(job), end, job=job, oom=True) == "oom"
    assert await _verdict(STARTED, _result(job, end="timeout"), end, job=job) == "timeout"
    assert await _verdict(STARTED, job=job) == "killed"
    assert await _verdict(STARTED, job=job, oom=True) == "oom"
    assert await _verdict(STARTED, _result(job), job=job) == "killed", (
        "silent before it handed over the files"
    )
    assert await _verdict(STARTED, _result(job), (wire.REFUSED, b"a socket"), job=job) == "policy"


def test_the_guest_needs_nothing_but_the_standard_library() -> None:
    """What is sent is all there is in the sandbox, so its modules may import only one another."""
    boot = json.loads(boot_block()[wire.LENGTH.size :])
    names = {name for name, _ in boot["modules"]}
    assert len(names) == 17
    for name, source in boot["modules"]:
        for line in source.splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]) and ("sandbox_runner" in line or "contracts" in line):
                assert words[1] == "sandbox_runner.guest" or words[1] in names, (name, line)


def test_a_guest_that_never_hears_of_its_host_ends() -> None:
    soon = BOOT.replace("[], 30)", "[], 0.1)")
    assert soon != BOOT
    with subprocess.Popen([sys.executable, *PYTHON_OPTIONS[:-1], soon], stdin=subprocess.PIPE) as guest:
        try:
            assert guest.wait(timeout=10) == 0
        finally:
            guest.kill()
