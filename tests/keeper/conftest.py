"""A worker with its keeper, for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contracts.bus.redis_bus import RedisBus
from tests.agents.owner import Owner
from tests.keeper.house import KeptWorker
from tests.support.redis_servers import PrivateRedis


@pytest.fixture
def redis_server() -> Iterator[PrivateRedis]:
    server = PrivateRedis().start()
    yield server
    server.stop()


@pytest.fixture
async def worker(redis_server: PrivateRedis, tmp_path: Path) -> AsyncIterator[KeptWorker]:
    bus = RedisBus(redis_server.url)
    owner = await Owner.on(bus)
    made = KeptWorker(tmp_path, redis_server, owner)
    yield made
    made.close()
    await owner.close()
    await bus.close()
