from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from artifacts import GitArtifactStore, create_store, open_store
from tests.artifacts.builders import fsck
from tests.support import need


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Path]:
    """The repository behind every store of a test. It is sound whatever the test did."""
    need(shutil.which("git") is not None, "git is not installed")
    path = create_store(tmp_path / "served" / "store.git")
    yield path
    assert fsck(path) == []


@pytest.fixture
def daemon(bare: Path) -> Iterator[str]:
    """The URL of `bare` behind a git daemon on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    args = ["git", "-c", "safe.directory=*", "daemon", "--export-all", "--enable=receive-pack", "--reuseaddr"]
    args += ["--listen=127.0.0.1", f"--port={port}", f"--base-path={bare.parent}", str(bare)]
    process = subprocess.Popen(args, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(port)
        yield f"git://127.0.0.1:{port}/{bare.name}"
    finally:
        # The launcher, and with it the daemon: both are in the group that this test started.
        subprocess.run(["kill", "--", f"-{process.pid}"], check=True)
        process.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    pytest.fail("git daemon did not start")


@pytest.fixture(params=["path", "file", "daemon"])
def location(request: pytest.FixtureRequest, bare: Path) -> str:
    """The same store by path, by file:// and through git://."""
    if request.param == "daemon":
        return str(request.getfixturevalue("daemon"))
    return str(bare) if request.param == "path" else f"file://{bare}"


@pytest_asyncio.fixture
async def opener(tmp_path: Path) -> AsyncIterator[Callable[[str], GitArtifactStore]]:
    """Opens stores, each with a cache of its own as if on a machine of its own, and closes them."""
    stores: list[GitArtifactStore] = []

    def opened(location: str) -> GitArtifactStore:
        stores.append(open_store(location, tmp_path / f"cache{len(stores)}"))
        return stores[-1]

    yield opened
    await asyncio.gather(*(store.close() for store in stores))


@pytest.fixture
def store(opener: Callable[[str], GitArtifactStore], location: str) -> GitArtifactStore:
    return opener(location)


@pytest.fixture
def other(opener: Callable[[str], GitArtifactStore], location: str) -> GitArtifactStore:
    """Another process' view of the same store."""
    return opener(location)


@pytest.fixture
def local(opener: Callable[[str], GitArtifactStore], bare: Path) -> GitArtifactStore:
    return opener(str(bare))
