"""Programs that take all they can get, many at once: the others go on, and the engine answers.

python -m tests.sandbox.crowd --rogues 20 [--backend docker]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sandbox_runner import SandboxSettings, choose_sandbox
from sandbox_runner.docker.api import connect
from sandbox_runner.probes.abuse import crowd
from tests.sandbox.places import add_backends, private_settings, wanted_backends

POLITE = 4
MOST_SECONDS = 2.0


def p99(seconds: Sequence[float]) -> float:
    """The slowest but one in a hundred."""
    return sorted(seconds)[max(0, round(len(seconds) * 0.99) - 1)]


async def _ask(question: Callable[[], object], took: list[float]) -> None:
    """Twenty times a second, until cancelled; in a thread of its own, or it would wait behind the crowd's."""
    with ThreadPoolExecutor(1) as thread:
        while True:
            began = time.monotonic()
            await asyncio.get_running_loop().run_in_executor(thread, question)
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.05)


async def gather_crowd(settings: SandboxSettings, rogues: int) -> list[float]:
    """How long each question took while the crowd ran: to the engine, or, where there is none, to this
    process. Raises AssertionError when something was wrong.
    """
    client = connect(settings) if settings.docker_host else None
    sandbox = await choose_sandbox(replace(settings, warm=0, max_concurrent=rogues + POLITE))
    took: list[float] = []
    asking = asyncio.create_task(_ask(client.containers if client else time.monotonic, took))
    try:
        wrong = await crowd(sandbox, rogues, POLITE)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await sandbox.close()
        if client:
            client.close()
    assert not wrong, wrong
    assert p99(took) < MOST_SECONDS, f"an answer took {p99(took):.1f} s"
    return took


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.crowd", description=__doc__)
    parser.add_argument("--rogues", type=int, default=20)
    add_backends(parser)
    options = parser.parse_args()
    for backend in wanted_backends(options):
        with private_settings(backend) as settings:
            took = asyncio.run(gather_crowd(settings, options.rogues))
        print(
            f"{backend}: {options.rogues} rogues and {POLITE} others at once, all others well; "
            f"{len(took)} answers, p99 {p99(took):.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
