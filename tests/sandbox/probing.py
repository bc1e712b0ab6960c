"""Programs for the sandbox and what they found; processes as the host sees them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest, SandboxResult
from sandbox_runner.docker import sandbox as docker_engine
from sandbox_runner.engine import seccomp
from sandbox_runner.local import sandbox as local
from sandbox_runner.probes.host import new_marker, processes_with

__all__ = ["FAST", "ask", "new_marker", "processes_with", "python", "run", "until"]

FAST = SandboxLimits(wall_seconds=20, memory_mb=256)
_GONE_SECONDS = 15


async def run(sandbox: Sandbox, *argv: str, **request: Any) -> SandboxResult:
    """Run a command with small limits."""
    return await sandbox.run(SandboxRequest(argv=argv, **{"limits": FAST, **request}))


async def python(sandbox: Sandbox, code: str, **request: Any) -> SandboxResult:
    """Run Python code from a file."""
    files = {"probe.py": code.encode(), **request.pop("files", {})}
    return await run(sandbox, "python", "probe.py", files=files, **request)


async def ask(sandbox: Sandbox, code: str, **request: Any) -> Any:
    """Run Python code that prints one JSON document, and return it."""
    result = await python(sandbox, "import json, os, sys\n" + code, **request)
    assert result.verdict == "ok", (result.verdict, result.stdout, result.stderr)
    return json.loads(result.stdout)


async def until(what: str, condition: Any, *, seconds: float = _GONE_SECONDS) -> None:
    """Wait until `condition()` is true; fails after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


@contextmanager
def netlink_let_through() -> Iterator[None]:
    """A gap in every wall: one more address family."""
    caches = (local.seccomp_filter, docker_engine.seccomp_profile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seccomp, "FAMILIES", (*seccomp.FAMILIES, int(socket.AF_NETLINK)))
        for one in caches:
            one.cache_clear()
        yield
    for one in caches:
        one.cache_clear()
