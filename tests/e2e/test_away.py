"""Redis and the database come back, and so does the work: soon, by itself, and once (I1, I2, I5)."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.away import MOST_SECONDS, SERVICES, running

AWAY_SECONDS = (0.5, 1.5, 3.0)


async def test_work_goes_on_soon_after_each_outage_in_the_same_processes(tmp_path: Path) -> None:
    async with running(tmp_path) as system:
        await system.begin()
        for seconds in AWAY_SECONDS:
            for service in SERVICES:
                took = await system.outage(service, seconds)
                assert took < MOST_SECONDS, (service, seconds, (tmp_path / "logs" / "worker.log").read_text())
        await system.load.finish()
        assert system.ended() == []
        assert system.load.findings == []
