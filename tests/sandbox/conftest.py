"""Every backend, as a parameter: whoever asks for `sandbox` runs once with each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import Sandbox
from sandbox_runner import SandboxSettings, choose_sandbox
from tests.sandbox.hosting import remote_sandbox, served_redis
from tests.support import need, of_this_run
from tests.support.docker_engine import IMAGE, needed_engine

BACKENDS = ("docker", "bubblewrap", "namespaces")

# Where sandboxes of another process, asked over the bus, must do as those of this one.
ASKED_OVER_THE_BUS = ("test_contract_basics", "test_contract_collect", "test_sessions")

# What a backend does not keep of the contract suite, by test function or by probe, with the reason.
DEVIATIONS: dict[tuple[str, str], str] = {
    ("docker", "test_a_read_only_file_stays_and_the_rest_is_free"): "its guest has no capability to mount; "
    "the mode of the file tells, and the owner of the file can change it",
    ("docker", "hoard-connections"): "control groups of version 1 count TCP's memory apart, without a limit",
    ("docker", "hoard-datagrams"): "control groups of version 1 do not count UDP's memory",
}


@pytest.fixture(scope="session")
def toolbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toolbox of this run's own, shared by its test processes."""
    return of_this_run(tmp_path_factory) / "toolbox"


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """Address of a private engine with the image."""
    yield from needed_engine()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One backend after the other, and a sandbox host where that is another way to the same thing."""
    if "settings" in metafunc.fixturenames:
        asked = metafunc.module.__name__.rpartition(".")[2] in ASKED_OVER_THE_BUS
        metafunc.parametrize(
            "settings", (*BACKENDS, *(["host"] if asked else [])), indirect=True, scope="session"
        )


@pytest.fixture(scope="session")
def host_url(toolbox: Path) -> Iterator[str]:
    """URL of a Redis on which a sandbox host answers, a process of its own."""
    with served_redis(toolbox) as url:
        yield url


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest, toolbox: Path) -> SandboxSettings:
    """Settings that force one backend."""
    host = request.getfixturevalue("docker_host") if request.param == "docker" else None
    return SandboxSettings(
        backend=request.param,
        toolbox=toolbox,
        docker_host=host,
        image=IMAGE,
        max_concurrent=8,
        selftests=toolbox.parent / "selftests",
    )


@pytest.fixture(scope="session")
def shared_sandbox(request: pytest.FixtureRequest, settings: SandboxSettings) -> Iterator[Sandbox | str]:
    """One sandbox of each backend for the whole run; of a sandbox host its URL."""
    if settings.backend == "host":
        yield str(request.getfixturevalue("host_url"))
        return
    try:
        sandbox = asyncio.run(choose_sandbox(settings))
    except SandboxUnavailable as error:
        need(False, str(error))
        raise
    yield sandbox
    asyncio.run(sandbox.close())


@pytest.fixture
async def sandbox(shared_sandbox: Sandbox | str, request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """The backend under test, unless it is known to deviate in this test."""
    if isinstance(shared_sandbox, str):
        async with remote_sandbox(shared_sandbox) as remote:
            yield remote
        return
    reason = DEVIATIONS.get((shared_sandbox.backend, request.function.__name__))
    if reason:
        pytest.skip(f"{shared_sandbox.backend} deviates: {reason}")
    yield shared_sandbox
