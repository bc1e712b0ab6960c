"""What an orchestrator counts."""

from __future__ import annotations

from tests.orchestrator.fleet import Fleet
from tests.orchestrator.plans import item


async def test_dispatches_are_counted_as_they_are_published() -> None:
    fleet = Fleet(item("a"), item("b"), item("c", "a"))
    await fleet.step()
    assert fleet.counted.get_sample_value("multi_agent_dispatches_total") == 2
