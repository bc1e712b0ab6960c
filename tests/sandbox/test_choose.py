"""Choosing a backend, the report about all of them, the refusal, and the facade."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import sandbox_runner
from contracts.base.errors import NotConfigured, SandboxUnavailable, UnsafePath
from contracts.ports.sandbox import Isolation, SandboxLimits
from multi_agent.bootstrap import sandbox_settings
from multi_agent.settings import load_settings
from sandbox_runner import SandboxRunner, SandboxSettings, choose_sandbox, survey, survey_until_ready
from sandbox_runner.local.toolbox import ensure_toolbox, interpreter

NO_ENGINE = "unix:///nonexistent/docker.sock"


def test_the_public_names() -> None:
    assert sandbox_runner.__all__ == sorted(sandbox_runner.__all__)
    assert all(hasattr(sandbox_runner, name) for name in sandbox_runner.__all__)


async def test_a_forced_backend_is_taken(settings: SandboxSettings) -> None:
    sandbox = await choose_sandbox(settings)
    await sandbox.close()
    assert sandbox.backend == settings.backend


async def test_an_unknown_backend_is_named(toolbox: Path) -> None:
    with pytest.raises(NotConfigured, match="'chroot': must be one of auto, docker, bubblewrap, namespaces"):
        await choose_sandbox(SandboxSettings(backend="chroot", toolbox=toolbox))


async def test_only_engines_of_this_machine(toolbox: Path) -> None:
    with pytest.raises(NotConfigured, match="DOCKER_HOST is 'tcp://"):
        await choose_sandbox(SandboxSettings(backend="docker", docker_host="tcp://x:1", toolbox=toolbox))


async def test_the_refusal_says_what_to_do(toolbox: Path) -> None:
    settings = SandboxSettings(backend="docker", docker_host=NO_ENGINE, toolbox=toolbox)
    with pytest.raises(SandboxUnavailable) as caught:
        await choose_sandbox(settings)
    message = str(caught.value)
    assert "nothing runs without one" in message
    assert "/nonexistent/docker.sock does not exist" in message
    assert "install Docker Engine" in message


async def test_a_toolbox_that_cannot_be_made_is_a_refusal() -> None:
    with pytest.raises(SandboxUnavailable, match="toolbox"):
        await choose_sandbox(SandboxSettings(backend="namespaces", toolbox=Path("/proc/nowhere")))


async def test_an_engine_without_the_image_is_not_ready(docker_host: str, toolbox: Path) -> None:
    settings = SandboxSettings(
        backend="docker", docker_host=docker_host, image="no-such:image", toolbox=toolbox
    )
    with pytest.raises(SandboxUnavailable, match="has no image 'no-such:image'"):
        await choose_sandbox(settings)


async def test_an_unknown_runtime_is_not_ready(docker_host: str, toolbox: Path) -> None:
    settings = SandboxSettings(backend="docker", docker_host=docker_host, runtime="runsc", toolbox=toolbox)
    with pytest.raises(SandboxUnavailable, match="no runtime 'runsc'"):
        await choose_sandbox(settings)


def test_a_user_s_settings_reach_the_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = {"RUNTIME": "runsc", "IMAGE": "mine:1", "WARM": "3"}
    for name, value in wanted.items():
        monkeypatch.setenv(f"MULTI_AGENT_SANDBOX_{name}", value)
    made = sandbox_settings(load_settings({"data_dir": tmp_path}))
    assert (made.runtime, made.image, made.warm) == ("runsc", "mine:1", 3)


async def test_the_survey_names_all(settings: SandboxSettings) -> None:
    statuses = await survey(settings)
    assert [status.name for status in statuses] == ["docker", "bubblewrap", "namespaces"]
    assert all(status.reason and status.how_to_get for status in statuses)
    tested = next(status for status in statuses if status.name == settings.backend)
    assert tested.ready
    assert statuses[0].isolation is Isolation.CONTAINER


async def test_a_run_looks_no_further_than_what_it_uses(settings: SandboxSettings) -> None:
    automatic = replace(settings, backend="auto", docker_host=settings.docker_host or NO_ENGINE)
    everything, needed = await survey(automatic), await survey_until_ready(automatic)
    assert [one.ready for one in needed] == [*[False] * (len(needed) - 1), True]
    assert [one.name for one in needed] == [one.name for one in everything][: len(needed)]
    assert [one.name for one in await survey_until_ready(settings)] == [settings.backend]


async def test_auto_takes_the_first_that_is_ready(settings: SandboxSettings) -> None:
    automatic = replace(settings, backend="auto", docker_host=settings.docker_host or NO_ENGINE)
    first = next(status.name for status in await survey(automatic) if status.ready)
    sandbox = await choose_sandbox(automatic)
    await sandbox.close()
    assert sandbox.backend == first


def test_the_toolbox_holds_the_tools_and_nothing_else(toolbox: Path) -> None:
    place = ensure_toolbox(toolbox)
    assert ensure_toolbox(toolbox) == place
    assert sorted(path.name for path in place.iterdir()) == ["bin", "checks", "etc", "lib"]
    packages = {path.name for path in (place / "lib").iterdir() if not path.name.endswith("-info")}
    assert packages >= {"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "coverage"}
    assert not packages & {
        "pydantic",
        "redis",
        "docker",
        "pytest_asyncio",
        "hypothesis",
        "pip",
        "bin",
        "..",
        "click",
    }
    assert os.readlink(place / "bin" / "python") == str(interpreter())
    assert not [path for path in place.rglob("*") if path.stat().st_mode & 0o022 and not path.is_symlink()]


def test_toolboxes_made_at_once_are_one(tmp_path: Path) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(ensure_toolbox(tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [found[0].name]


def test_the_facade_runs_and_keeps_files(settings: SandboxSettings) -> None:
    with SandboxRunner(settings) as runner:
        handle = runner.create_container({"a.py": b"open('out.txt', 'a').write('x')"})
        assert runner.execute("python a.py", collect=["out.txt"]).verdict == "ok"
        assert runner.execute(["python", "a.py"], collect=["out.txt"]).files == {"out.txt": b"xx"}
        assert handle.files["out.txt"] == b"xx"
        other = runner.create_container(limits=SandboxLimits(wall_seconds=0.5))
        assert other.container_id != handle.container_id
        assert runner.execute("sleep 60").verdict == "timeout"
        assert runner.execute("cat", stdin=b"in").stdout == b"in"
        assert runner.execute("cat out.txt", container=handle).stdout == b"xx"
        runner.create_container({"../x": b""})
        with pytest.raises(UnsafePath):
            runner.execute("true")


async def test_the_facade_works_beside_a_running_loop(toolbox: Path, settings: SandboxSettings) -> None:
    with SandboxRunner(settings) as runner:
        runner.create_container()
        result = await asyncio.to_thread(runner.execute, "true")
        assert result.verdict == "ok"
        assert runner.execute("true").verdict == "ok"


def test_the_facade_may_be_closed_unused_and_twice(settings: SandboxSettings) -> None:
    runner = SandboxRunner(settings)
    runner.cleanup()
    with runner:
        runner.create_container()
        assert runner.execute("true").verdict == "ok"
    runner.cleanup()
