"""An orchestrator that waits for messages stops at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median

from orchestrator.service.inbox_handler import TICK_SECONDS
from tests.orchestrator.system import running
from tests.support.redis_servers import PrivateRedis


async def test_a_stop_waits_for_no_tick(redis: PrivateRedis, tmp_path: Path) -> None:
    """What it takes beside the quickest is much less than a tick, of which it would wait for half."""
    took = []
    async with running(f"sqlite:///{tmp_path / 'state.db'}", redis, tmp_path) as system:
        for number in range(10):
            await asyncio.sleep(0.4 + 0.027 * number)  # nothing of its start arrives any more
            began = time.monotonic()
            await system.stop()
            took.append(time.monotonic() - began)
            await system.start()
        await system.stop()
    assert median(took) - min(took) < TICK_SECONDS / 4
