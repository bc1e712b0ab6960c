"""What only the Docker backend has: containers that somebody left, and an engine that may die."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import SandboxRequest
from sandbox_runner import SandboxSettings
from sandbox_runner.docker.sandbox import DockerSandbox
from sandbox_runner.engine import creator
from sandbox_runner.guest.wire import SILENCE_SECONDS
from tests.sandbox.leftovers import mounts_within, processes_within, shims_within, unfinished_within
from tests.sandbox.probing import new_marker, processes_with, run, until
from tests.support import need
from tests.support.docker_engine import IMAGE, missing, private_engine, restart
from tests.support.small_disk import small_disk


@pytest.fixture
def docker_settings(docker_host: str, toolbox: Path) -> SandboxSettings:
    return SandboxSettings(backend="docker", docker_host=docker_host, image=IMAGE, toolbox=toolbox)


def _leave(sandbox: DockerSandbox, labels: dict[str, str], start: bool) -> str:
    """A container such as a dead worker leaves behind."""
    container: dict[str, Any] = sandbox.client.create_container(
        IMAGE, entrypoint=["sleep", "3600"], command=[], labels=labels, network_disabled=True
    )
    if start:
        sandbox.client.start(container["Id"])
    return str(container["Id"])


def _exists(sandbox: DockerSandbox, container: str) -> bool:
    return container in {c["Id"] for c in sandbox.client.containers(all=True)}


async def test_the_reaper(docker_settings: SandboxSettings) -> None:
    sandbox = await DockerSandbox.open(docker_settings)
    mine = creator.this_process()
    dead = "/".join([*mine.split("/")[:-1], "1"])
    foreign = "another-boot/4026531836/1/1"
    later, earlier = str(int(time.time()) + 3600), str(int(time.time()) - 1)
    cases = {
        "of a dead worker": (dead, later, True),
        "of a living worker": (mine, later, False),
        "of a living worker, past its limit by a clock that may have jumped": (mine, earlier, False),
        "of somebody unknown": (foreign, later, False),
        "of somebody unknown, long past its limit": (foreign, earlier, True),
        "of somebody unknown, without a time": (foreign, "garbage", True),
    }
    left: dict[str, str] = {}
    try:
        for name, (who, expires, _) in cases.items():
            labels = {
                "multi-agent.sandbox": "1",
                "multi-agent.owner": who,
                "multi-agent.expires": expires,
            }
            # Half of them were only created: a worker may die before it starts its container.
            left[name] = await asyncio.to_thread(_leave, sandbox, labels, len(left) % 2 == 0)
        stranger = await asyncio.to_thread(_leave, sandbox, {}, False)
        left["not ours at all"] = stranger
        await sandbox.reap()
        gone = {name: not _exists(sandbox, container) for name, container in left.items()}
        assert gone == {**{name: doomed for name, (_, _, doomed) in cases.items()}, "not ours at all": False}
    finally:
        for container in left.values():
            if _exists(sandbox, container):
                sandbox.client.remove_container(container, force=True)
        await sandbox.close()


async def test_labels_of_the_caller_are_kept_and_ours_win(docker_settings: SandboxSettings) -> None:
    sandbox = await DockerSandbox.open(docker_settings)
    marker = new_marker()
    labels = {"task": "t1", "multi-agent.sandbox": "0"}
    task = asyncio.create_task(sandbox.run(SandboxRequest(argv=("sleep", marker), labels=labels)))
    try:
        await until("the program starts", lambda: processes_with(marker))
        (container,) = sandbox.client.containers(filters={"label": "task=t1"})
        assert container["Labels"]["multi-agent.sandbox"] == "1"
        details: dict[str, Any] = sandbox.client.inspect_container(container["Id"])
        host = details["HostConfig"]
        assert host["NetworkMode"] == "none"
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] == host["MemorySwap"] > 0
        assert host["LogConfig"]["Type"] == "none"
        assert host["Binds"] is None
        assert details["Mounts"] == []
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sandbox.close()


@pytest.fixture
def own_engine() -> Iterator[Path]:
    """An engine that a test may kill."""
    reason = missing()
    need(not reason, reason)
    with private_engine() as folder:
        yield folder


@contextmanager
def _sockets_left_to_the_collector() -> Iterator[None]:
    """The SDK leaves there the socket of a connection that the engine's death cut or refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.slow
async def test_an_engine_that_dies_is_no_verdict(own_engine: Path, toolbox: Path) -> None:
    """kill -9 of the engine: an error, and the program ends although nobody can remove its container."""
    with _sockets_left_to_the_collector():
        await _kill_the_engine(own_engine, toolbox)


async def _kill_the_engine(folder: Path, toolbox: Path) -> None:
    settings = SandboxSettings(docker_host=f"unix://{folder}/s", image=IMAGE, toolbox=toolbox)
    sandbox = await DockerSandbox.open(settings)
    marker = new_marker()
    task = asyncio.create_task(run(sandbox, "sleep", marker))
    await until("the program starts", lambda: processes_with(marker))
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    with pytest.raises(SandboxUnavailable):
        await task
    await until("the program is gone", lambda: not processes_with(marker), seconds=SILENCE_SECONDS + 10)
    with pytest.raises(SandboxUnavailable):
        await sandbox.close()


@pytest.mark.slow
async def test_what_an_engine_forgot_that_died_while_it_started_a_container(
    own_engine: Path, toolbox: Path
) -> None:
    with _sockets_left_to_the_collector():
        await _end_what_it_forgot(own_engine, toolbox)


async def _end_what_it_forgot(engine: Path, toolbox: Path) -> None:
    settings = SandboxSettings(docker_host=f"unix://{engine}/s", image=IMAGE, toolbox=toolbox)
    sandbox = await DockerSandbox.open(settings)
    labels = {"multi-agent.sandbox": "1", "multi-agent.owner": "of nobody"}
    container = await asyncio.to_thread(_leave, sandbox, labels, True)
    _forget_the_start(engine, container)
    await asyncio.to_thread(restart, engine)
    assert sandbox.client.inspect_container(container)["State"]["Status"] == "created"
    assert processes_within(str(engine))
    await sandbox.reap()
    assert not sandbox.client.containers(all=True)
    await until("its process is gone", lambda: not processes_within(str(engine)))
    await until("its shim is gone", lambda: not shims_within(str(engine)))
    await sandbox.close()


def _forget_the_start(engine: Path, container: str) -> None:
    """Let the engine's file say what it says until a start is done: an engine writes it as the last step."""
    path = engine / "data/containers" / container / "config.v2.json"
    config = json.loads(path.read_text())
    config["State"] |= {"Running": False, "Pid": 0, "StartedAt": "0001-01-01T00:00:00Z"}
    path.write_text(json.dumps(config))


def test_layers_that_an_engine_did_not_finish_are_told_from_those_of_containers(tmp_path: Path) -> None:
    """The former are the engine's own affair, any other mount is left by a sandbox."""
    data = tmp_path / "data"
    for layer, container in {"finished": "known", "unfinished": "not-yet-known"}.items():
        (data / "containers" / container).mkdir(parents=True)
        record = data / "image/overlay2/layerdb/mounts" / container
        record.mkdir(parents=True)
        (record / "mount-id").write_text(layer)
    (data / "containers/known/config.v2.json").touch()
    with ExitStack() as stack:
        for layer in ("finished", "finished-init", "unfinished", "removed"):
            (data / "overlay2" / layer).mkdir(parents=True)
            stack.enter_context(small_disk(data / "overlay2" / layer / "merged", megabytes=1))
        found = unfinished_within(str(tmp_path))
        assert {Path(mount).parent.name for mount in found} == {"finished-init", "unfinished"}
    assert mounts_within(str(tmp_path)) == []
