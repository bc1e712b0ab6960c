"""Processes that are forked from a prepared one: what they are told, and how their ends are heard."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from contracts.base.errors import MultiAgentError, NotConfigured, SandboxUnavailable, Unavailable
from multi_agent.runtime.forking.fork_server import ForkServer
from multi_agent.runtime.forking.forked_children import Become
from tests.agents.owner import until
from tests.keeper.house import is_running, parent_of

# The tests may run beside threads of their runner, which a forked process does not touch.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@dataclass
class Ends:
    """What was heard."""

    exits: dict[int, int] = field(default_factory=dict)
    lost: bool = False

    def add(self, pid: int, status: int) -> None:
        assert pid not in self.exits
        assert is_running(pid) is False
        os.kill(pid, 0)  # its id is still its own
        self.exits[pid] = status

    def lose(self) -> None:
        self.lost = True


def become(order: Any) -> int:
    if order == "wait":
        time.sleep(600)
    if order == "raise":
        raise ZeroDivisionError
    return int(order)


def prepare() -> tuple[Any, Become]:
    return {"server": os.getpid()}, become


@asynccontextmanager
async def serving(ends: Ends) -> AsyncIterator[ForkServer]:
    server = ForkServer(prepare)
    try:
        assert server.ready() == {"server": server.pid}
        server.listen(ends.add, ends.lose)
        yield server
    finally:
        server.close()


async def test_exit_codes_and_signals_are_reported() -> None:
    ends = Ends()
    async with serving(ends) as server:
        pids = [await server.start(f"p{order}", order) for order in (0, 3, "raise", "wait")]
        assert {parent_of(pid) for pid in pids[3:]} == {server.pid}
        server.signal(pids[3], signal.SIGKILL)
        await until(lambda: len(ends.exits) == 4)
        assert [ends.exits[pid] for pid in pids] == [0, 3, 1, -signal.SIGKILL]
        await until(lambda: not any(_exists(pid) for pid in pids))
        server.signal(pids[3], signal.SIGKILL)


def _exists(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


async def test_a_stopped_process_can_be_killed_and_a_sigterm_is_its_own_matter() -> None:
    ends = Ends()
    async with serving(ends) as server:
        stopped, asked = [await server.start(name, "wait") for name in ("stopped", "asked")]
        server.signal(stopped, signal.SIGSTOP)
        server.signal(stopped, signal.SIGKILL)
        server.signal(asked, signal.SIGTERM)
        await until(lambda: len(ends.exits) == 2)
        assert ends.exits == {stopped: -signal.SIGKILL, asked: -signal.SIGTERM}


async def test_the_end_of_the_server_ends_all_and_is_heard() -> None:
    ends = Ends()
    async with serving(ends) as server:
        pid = await server.start("p", "wait")
        os.kill(server.pid, signal.SIGTERM)
        assert is_running(server.pid), "its client decides when it ends"
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: ends.lost)
        await until(lambda: not is_running(pid))
        with pytest.raises(Unavailable):
            await server.start("q", "wait")


async def test_closing_ends_all() -> None:
    async with serving(Ends()) as server:
        pid = await server.start("p", "wait")
    await until(lambda: not is_running(pid))
    assert not _exists(server.pid)


async def test_what_waits_for_a_server_that_ends_is_told() -> None:
    async with serving(Ends()) as server:
        os.kill(server.pid, signal.SIGSTOP)
        starting = asyncio.create_task(server.start("p", "wait"))
        await asyncio.sleep(0)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="has ended"):
            await starting


def _refuse(error: Exception) -> Callable[[], tuple[Any, Become]]:
    def refusing() -> tuple[Any, Become]:
        raise error

    return refusing


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (NotConfigured("set X"), NotConfigured, "set X"),
        (SandboxUnavailable("none"), MultiAgentError, "none"),
        (ZeroDivisionError(), Unavailable, "ended before it was ready"),
    ],
)
def test_what_goes_wrong_in_preparing_is_raised_here(
    error: Exception, kind: type[MultiAgentError], message: str
) -> None:
    server = ForkServer(_refuse(error))
    try:
        with pytest.raises(kind, match=message):
            server.ready()
    finally:
        server.close()
