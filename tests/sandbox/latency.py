"""How long a trivial program takes: in a cold and a waiting sandbox, and without one, interleaved in one run.

python -m tests.sandbox.latency --rounds 50 [--backend docker] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import docker

from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest, Verdict
from sandbox_runner import SandboxSettings, choose_sandbox
from sandbox_runner.docker.sandbox import DockerSandbox
from tests.sandbox.places import add_backends, private_settings, wanted_backends

COMMAND = ("python", "-c", "")
# Longer than a pool waits before it starts the next one, and that one's start.
_REFILL_SECONDS = 2.0
_REQUEST = SandboxRequest(COMMAND, limits=SandboxLimits(wall_seconds=60, memory_mb=256))
# (what, compared with): the ratio of their medians is shown.
RATIOS = (("warm", "docker exec"), ("cold", "docker run"), ("warm", "subprocess"), ("cold", "subprocess"))

Way = Callable[[], Awaitable[None]]


async def measure(settings: SandboxSettings, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each way, one of each a round, in turn."""
    async with AsyncExitStack() as stack:

        async def opened(warm: int) -> Sandbox:
            sandbox = await choose_sandbox(replace(settings, warm=warm))
            stack.push_async_callback(sandbox.close)
            return sandbox

        cold, warm = await opened(0), await opened(1)
        ways: dict[str, Way] = {
            "subprocess": _subprocess,
            "cold": lambda: _run(cold),
            "warm": lambda: _run(warm),
        }
        if isinstance(cold, DockerSandbox):
            client = cold.client
            container = await asyncio.to_thread(_start_idle, client, settings.image)
            stack.push_async_callback(asyncio.to_thread, client.remove_container, container, force=True)
            ways["docker exec"] = lambda: asyncio.to_thread(_docker_exec, client, container)
            ways["docker run"] = lambda: asyncio.to_thread(_docker_run, client, settings.image)
        for way in ways.values():
            await way()
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            await asyncio.sleep(_REFILL_SECONDS)
            for name in ("warm", *(name for name in ways if name != "warm")):
                before = time.perf_counter()
                await ways[name]()
                found[name].append((time.perf_counter() - before) * 1000)
        return found


async def _run(sandbox: Sandbox) -> None:
    result = await sandbox.run(_REQUEST)
    assert result.verdict is Verdict.OK, result


async def _subprocess() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", *COMMAND[1:])
    assert await process.wait() == 0


def _start_idle(client: docker.APIClient, image: str) -> str:
    container: str = client.create_container(
        image, entrypoint=["sleep", "infinity"], command=[], network_disabled=True
    )["Id"]
    client.start(container)
    return container


def _docker_exec(client: docker.APIClient, container: str) -> None:
    started = client.exec_create(container, list(COMMAND))["Id"]
    client.exec_start(started)
    assert client.exec_inspect(started)["ExitCode"] == 0


def _docker_run(client: docker.APIClient, image: str) -> None:
    container: str = client.create_container(
        image, entrypoint=list(COMMAND), command=[], network_disabled=True
    )["Id"]
    try:
        client.start(container)
        assert client.wait(container)["StatusCode"] == 0
    finally:
        client.remove_container(container, force=True)


def summary(found: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """p50 and p99 of each way in milliseconds, and the ratios and differences of the medians."""
    ways = {name: {"p50": _rank(times, 0.50), "p99": _rank(times, 0.99)} for name, times in found.items()}
    both = [(a, b) for a, b in RATIOS if a in found and b in found]
    ratios = {f"{a} / {b}": ways[a]["p50"] / ways[b]["p50"] for a, b in both}
    more = {f"{a} - {b}": ways[a]["p50"] - ways[b]["p50"] for a, b in both}
    return {**ways, "ratios": ratios, "more_ms": more}


def _rank(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def as_text(backend: str, shown: dict[str, dict[str, float]]) -> str:
    """For people."""
    lines = [backend]
    for name, numbers in shown.items():
        words = "  ".join(f"{what} {number:.2f}" for what, number in numbers.items())
        lines.append(f"  {name:12} {words}")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="one document instead of text")
    add_backends(parser)
    options = parser.parse_args()
    everything = {}
    for backend in wanted_backends(options):
        with private_settings(backend) as settings:
            everything[backend] = summary(asyncio.run(measure(settings, options.rounds)))
        if not options.json:
            print(as_text(backend, everything[backend]), flush=True)
    if options.json:
        print(json.dumps({"rounds": options.rounds, "milliseconds": everything}, indent=2))


if __name__ == "__main__":
    main()
