"""Many executions at once on one sandbox, and what this process and machine hold before and after.

python -m tests.sandbox.many --count 200 [--backend docker]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from contracts.ports.sandbox import SandboxLimits, SandboxRequest
from sandbox_runner import SandboxSettings, choose_sandbox
from tests.sandbox.leftovers import Leftovers
from tests.sandbox.places import add_backends, private_settings, wanted_backends

CONCURRENT = 8
# What the allocator keeps after a first batch may differ by this much.
_RSS_SLACK_KB = 16 * 1024
_LIMITS = SandboxLimits(wall_seconds=60, memory_mb=128)


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds."""

    descriptors: int
    threads: int
    rss_kb: int

    @classmethod
    def now(cls) -> Held:
        """After what nobody uses any more was freed."""
        gc.collect()
        status = Path("/proc/self/status").read_text()
        rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        return cls(len(os.listdir("/proc/self/fd")), threading.active_count(), rss)

    def exceeds(self, before: Held) -> dict[str, tuple[int, int]]:
        """What there is more of than before: kind -> (before, now)."""
        then, now = asdict(before), asdict(self)
        slack = {"rss_kb": _RSS_SLACK_KB}
        return {kind: (then[kind], now[kind]) for kind in now if now[kind] > then[kind] + slack.get(kind, 0)}


def run_many(settings: SandboxSettings, count: int) -> tuple[Held, Held]:
    """So many executions at once; what is held before and after. Raises AssertionError."""
    asyncio.run(_batch(settings, CONCURRENT))  # what is loaded and made once
    before = Held.now()
    asyncio.run(_batch(settings, count))
    after = Held.now()
    assert not after.exceeds(before), f"more than before: {after.exceeds(before)}"
    return before, after


async def _batch(settings: SandboxSettings, count: int) -> None:
    # An own object looks on, so that the one under test can be closed first.
    host = settings.docker_host
    place = host.removeprefix("unix://").removesuffix("/s") + "/data" if host else str(settings.toolbox)
    onlooker = await choose_sandbox(replace(settings, warm=0))
    try:
        before = Leftovers.now(onlooker, place)
        sandbox = await choose_sandbox(replace(settings, warm=2, max_concurrent=CONCURRENT))
        try:
            requests = [
                SandboxRequest(("python", "-c", f"print({number})"), limits=_LIMITS)
                for number in range(count)
            ]
            results = await asyncio.gather(*map(sandbox.run, requests))
        finally:
            await sandbox.close()
        outputs = [result.stdout for result in results]
        assert outputs == [f"{number}\n".encode() for number in range(count)], Counter(
            str(result.verdict) for result in results
        )
        left = before.since(onlooker, place)
        assert not left, f"left: {left}"
    finally:
        await onlooker.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.many", description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    add_backends(parser)
    options = parser.parse_args()
    for backend in wanted_backends(options):
        with private_settings(backend) as settings:
            before, after = run_many(settings, options.count)
        print(f"{backend}: {options.count} executions, nothing is left\n  before {before}\n  after  {after}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
