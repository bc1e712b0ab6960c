"""What a process shows its keeper, also while it is killed or stopped at any moment."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import time
from collections.abc import Iterator

import pytest

from agents.worker.board import Board, Held, board_bytes
from agents.worker.messages import Origin
from contracts.base.errors import MultiAgentError, NotConfigured, SandboxUnavailable
from tests.agents.owner import until

# The tests may run beside threads of their runner, which a forked process does not touch.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

PLACES = 4


def held(number: int) -> Held:
    origin = Origin(
        f"agent.results.{number}", f"event-{number}", "Zähler", None, f"w{number}", f"t{number}", 1
    )
    return Held(f"d{number}", f"e{number}", "coder", "agent.requests.coder", f"{number}-0", origin)


@pytest.fixture
def memory() -> Iterator[int]:
    fd = os.memfd_create("boards")
    os.ftruncate(fd, 2 * board_bytes(PLACES))
    yield fd
    os.close(fd)


def boards(fd: int) -> tuple[Board, Board]:
    """Of the process and of its keeper, over the second part of the memory."""
    return Board(fd, board_bytes(PLACES), PLACES), Board(fd, board_bytes(PLACES), PLACES)


def test_it_shows_what_is_held_and_since_when(memory: int) -> None:
    ours, theirs = boards(memory)
    ours.hold(held(1))
    ours.hold(held(2))
    assert theirs.look() == (held(1), held(2))
    before = time.monotonic()
    ours.start("d2")
    one, two = theirs.look()
    assert (one.started, two.deadline) == (None, math.inf)
    assert two.started is not None
    assert before <= two.started <= time.monotonic()
    ours.limit("d2", 5.0)
    assert theirs.look()[1].deadline == pytest.approx(time.monotonic() + 5.0, abs=0.5)
    ours.recall("d1")
    assert [one.recalled for one in theirs.look()] == [True, False]
    ours.remove("d1")
    ours.recall("d1")
    assert [one.dispatch_id for one in theirs.look()] == ["d2"]
    ours.remove("unknown")
    ours.remove("d2")
    assert theirs.look() == ()


def test_places_are_used_again_and_what_finds_none_is_not_shown(memory: int) -> None:
    ours, theirs = boards(memory)
    for number in range(100):
        ours.hold(held(number))
        assert theirs.look() == (held(number),)
        ours.remove(f"d{number}")
    for number in range(PLACES + 1):
        ours.hold(held(number))
    assert len(theirs.look()) == PLACES
    ours.start(f"d{PLACES}")
    ours.remove(f"d{PLACES}")
    assert len(theirs.look()) == PLACES


async def test_a_successor_finds_it_empty(memory: int) -> None:
    ours, theirs = boards(memory)
    showing = asyncio.create_task(ours.show_life())
    await until(lambda: theirs.life > 0)
    showing.cancel()
    ours.hold(held(1))
    ours.fail(NotConfigured("no"))
    theirs.look()
    theirs.clear()
    assert (theirs.look(), theirs.failure, theirs.life) == ((), None, 0.0)
    successor, _ = boards(memory)
    successor.hold(held(2))
    assert theirs.look() == (held(2),)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(NotConfigured("set X"), NotConfigured), (SandboxUnavailable("none"), MultiAgentError)],
)
def test_it_carries_the_error_that_ended_a_start(
    memory: int, error: MultiAgentError, kind: type[MultiAgentError]
) -> None:
    ours, theirs = boards(memory)
    ours.fail(error)
    assert (type(theirs.failure), str(theirs.failure)) == (kind, str(error))


async def test_it_shows_that_the_loop_turns(memory: int) -> None:
    ours, theirs = boards(memory)
    task = asyncio.create_task(ours.show_life())
    await until(lambda: theirs.life > 0)
    task.cancel()
    assert theirs.life == pytest.approx(time.monotonic(), abs=1)


def test_what_is_read_beside_a_writer_that_is_killed_is_always_whole(memory: int) -> None:
    ours, theirs = boards(memory)
    pid = os.fork()
    if pid == 0:
        for number in itertools.count():
            ours.hold(held(number))
            ours.start(f"d{number}")
            ours.remove(f"d{number}")
    seen = 0
    until = time.monotonic() + 10
    while seen < 300 and time.monotonic() < until:
        for one in theirs.look():
            number = int(one.dispatch_id[1:])
            assert (one.execution_id, one.origin.task_id) == (f"e{number}", f"t{number}")
            seen += 1
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert len(theirs.look()) <= 1
    assert seen
