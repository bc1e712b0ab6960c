"""Every backend, as a parameter: whoever asks for `sandbox` runs once with each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.errors import SandboxUnavailable
from contracts.ports import Sandbox
from sandbox_runner import SandboxSettings, choose_sandbox
from tests.support import need
from tests.support.docker_engine import IMAGE, missing, shared_engine

BACKENDS = ("docker", "bubblewrap", "namespaces")

# What a backend does not keep of the contract suite, by test function or by probe, with the reason.
DEVIATIONS: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="session")
def toolbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toolbox of this run's own, shared by its test processes."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    return shared / "toolbox"


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """Address of a private engine with the image."""
    reason = missing()
    need(not reason, reason)
    with shared_engine() as address:
        yield address


@pytest.fixture(scope="session", params=BACKENDS)
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
def shared_sandbox(settings: SandboxSettings) -> Iterator[Sandbox]:
    """One sandbox of each backend for the whole run."""
    try:
        sandbox = asyncio.run(choose_sandbox(settings))
    except SandboxUnavailable as error:
        need(False, str(error))
        raise
    yield sandbox
    asyncio.run(sandbox.close())


@pytest.fixture
def sandbox(shared_sandbox: Sandbox, request: pytest.FixtureRequest) -> Sandbox:
    """The backend under test, unless it is known to deviate in this test."""
    reason = DEVIATIONS.get((shared_sandbox.backend, request.function.__name__))
    if reason:
        pytest.skip(f"{shared_sandbox.backend} deviates: {reason}")
    return shared_sandbox
