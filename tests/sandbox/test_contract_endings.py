"""The Sandbox port, by every backend: nothing is left behind, however it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from contracts.base.errors import UnsafePath
from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest
from sandbox_runner import SandboxSettings, choose_sandbox
from sandbox_runner.docker.sandbox import DockerSandbox
from tests.sandbox.probing import FAST, new_marker, processes_with, python, run, until

DAEMON = """
import os, subprocess, sys
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            subprocess.Popen(["sleep", {marker!r}], start_new_session=True, stdin=subprocess.DEVNULL{outputs})
        os._exit(0)
daemon()
"""
SILENT = ", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"


async def test_daemons_are_gone_after_the_verdict(sandbox: Sandbox) -> None:
    marker = new_marker()
    code = (
        DAEMON.format(marker=marker, outputs=SILENT)
        + "import time; time.sleep(0.3); print(os.listdir('/proc'))"
    )
    result = await python(sandbox, code)
    assert result.verdict == "ok"
    assert processes_with(marker) == []


async def test_a_child_that_keeps_the_outputs_open_does_not_hang(sandbox: Sandbox) -> None:
    marker = new_marker()
    before = time.monotonic()
    result = await python(sandbox, DAEMON.format(marker=marker, outputs="") + "print('done')")
    assert (result.verdict, result.stdout) == ("ok", b"done\n")
    assert time.monotonic() - before < 5
    assert processes_with(marker) == []


async def test_killing_everybody_is_survived(sandbox: Sandbox) -> None:
    code = """
import os, signal, time
if os.fork() == 0:
    time.sleep(60)
os.kill(-1, signal.SIGKILL)
print("alive", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = await python(sandbox, code, files={"a": b"1"}, collect=("a",))
    assert (result.verdict, result.exit_code, result.stdout) == ("failed", 137, b"alive\n")
    assert result.files == {"a": b"1"}


async def test_a_timeout_leaves_nothing(sandbox: Sandbox) -> None:
    marker = new_marker()
    code = DAEMON.format(marker=marker, outputs=SILENT) + "import time; time.sleep(60)"
    result = await python(sandbox, code, limits=SandboxLimits(wall_seconds=1, memory_mb=256))
    assert result.verdict == "timeout"
    assert processes_with(marker) == []


async def test_cancelling_leaves_nothing(sandbox: Sandbox) -> None:
    marker = new_marker()
    task = asyncio.create_task(run(sandbox, "sleep", marker))
    await until("the program starts", lambda: processes_with(marker))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_with(marker) == []


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.05, 0.09, 0.13])
async def test_cancelling_at_any_time_leaves_nothing(sandbox: Sandbox, delay: float) -> None:
    marker = new_marker()
    task = asyncio.create_task(run(sandbox, "sleep", marker))
    await asyncio.sleep(delay)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_with(marker) == []
    assert (await run(sandbox, "true")).verdict == "ok"


async def test_a_caller_in_a_hurry_gets_his_timeout(sandbox: Sandbox) -> None:
    marker = new_marker()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.8):
            await run(sandbox, "sleep", marker)
    assert processes_with(marker) == []


async def test_refused_requests_start_nothing(sandbox: Sandbox) -> None:
    marker = new_marker()
    with pytest.raises(UnsafePath):
        await run(sandbox, "sleep", marker, files={"../x": b""})
    assert processes_with(marker) == []


WORKER = """
import asyncio, json, sys
from pathlib import Path
from contracts.ports.sandbox import SandboxRequest
from sandbox_runner import SandboxSettings, choose_sandbox
from sandbox_runner.docker.sandbox import DockerSandbox
async def main():
    values = json.loads(sys.argv[1])
    sandbox = await choose_sandbox(SandboxSettings(**{**values, "toolbox": Path(values["toolbox"])}))
    await sandbox.run(SandboxRequest(argv=("sleep", sys.argv[2])))
asyncio.run(main())
"""


async def test_nothing_outlives_the_caller(sandbox: Sandbox, settings: SandboxSettings) -> None:
    """kill -9 of the process that called: no process stays, and the next caller removes what else does."""
    marker = new_marker()
    values = {name: getattr(settings, name) for name in ("backend", "docker_host", "image")}
    argument = json.dumps({**values, "toolbox": str(settings.toolbox)})
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])}
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, argument, marker, env=environment, cwd="/"
    )

    def programs() -> list[int]:
        return [pid for pid in processes_with(marker) if pid != worker.pid]

    await until("the program starts", programs)
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    await until("the program is gone", lambda: not programs())
    successor = await choose_sandbox(settings)
    try:
        assert _containers_of(worker.pid, successor) == []
    finally:
        await successor.close()


def _containers_of(pid: int, sandbox: Sandbox) -> list[str]:
    if not isinstance(sandbox, DockerSandbox):
        return []
    found = sandbox.client.containers(all=True, filters={"label": "multi-agent.sandbox=1"})
    return [c["Id"] for c in found if f"/{pid}/" in c["Labels"]["multi-agent.owner"]]


async def test_many_at_once_do_not_disturb_each_other(sandbox: Sandbox) -> None:
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    eater = "b = []\nwhile True: b.append(b'x' * 4_000_000)"
    hostile = SandboxLimits(wall_seconds=2, memory_mb=128, processes=20)
    unhurried = SandboxLimits(wall_seconds=60, memory_mb=128, processes=20)
    requests = [
        _request(bomb, hostile),
        _request(eater, unhurried),
        _request("while True: print('x' * 1000)", hostile),
        *(_request(f"print({i})", FAST) for i in range(5)),
    ]
    results = await asyncio.gather(*(sandbox.run(request) for request in requests))
    assert results[0].verdict in {"timeout", "oom"}
    assert results[1].verdict == "oom"
    assert results[2].verdict == "output_limit"
    assert [(r.verdict, r.stdout) for r in results[3:]] == [("ok", f"{i}\n".encode()) for i in range(5)]


def _request(code: str, limits: SandboxLimits) -> SandboxRequest:
    return SandboxRequest(argv=("python", "-c", code), limits=limits)


async def test_more_than_the_slots_wait(settings: SandboxSettings) -> None:
    narrow = SandboxSettings(
        backend=settings.backend,
        toolbox=settings.toolbox,
        docker_host=settings.docker_host,
        image=settings.image,
        max_concurrent=1,
    )
    sandbox = await choose_sandbox(narrow)
    markers = [new_marker() for _ in range(3)]
    tasks = [asyncio.create_task(run(sandbox, "sleep", marker)) for marker in markers]
    try:
        await until("one runs", lambda: any(map(processes_with, markers)))
        assert sum(bool(processes_with(marker)) for marker in markers) == 1
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await sandbox.close()
    assert not any(map(processes_with, markers))


async def test_no_mount_container_or_open_file_is_left(sandbox: Sandbox) -> None:
    def here() -> tuple[list[str], int, list[str]]:
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        # Containers of other test processes come and go in the engine's folder.
        own = sorted(mount for mount in mounts if "/ma-docker-" not in mount)
        # The SDK keeps up to 25 idle connections, one for each of the last URLs.
        files = 0 if isinstance(sandbox, DockerSandbox) else len(os.listdir("/proc/self/fd"))
        return own, files, _containers_of(os.getpid(), sandbox)

    await run(sandbox, "true")
    before = here()
    for _ in range(3):
        await run(sandbox, "true", files={"a": b"x"}, collect=("a",))
    assert here() == before
    assert before[2] == []
