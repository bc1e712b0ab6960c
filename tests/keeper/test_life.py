"""Within its deadline a process lives, however quiet; a dead one is found at once."""

from __future__ import annotations

from tests.keeper.crowd import Crowd, try_crowd
from tests.keeper.house import KeptWorker


async def test_twenty_quiet_agents_live_and_twenty_dead_ones_are_reported_within_a_second(
    worker: KeptWorker,
) -> None:
    crowd = await try_crowd(worker, 20)
    assert crowd == Crowd(0, 20, 20, crowd.slowest_report)
    assert crowd.slowest_report < 1
