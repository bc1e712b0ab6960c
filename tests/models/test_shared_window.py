"""One limit of requests per minute for several processes."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable

import pytest

from multi_agent.models.layers.rate_limit import LocalWindow, RequestWindow
from multi_agent.models.layers.shared_window import SharedWindow

# The tests may run beside threads of their runner, which a forked process does not touch.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def in_another_process(work: Callable[[], None]) -> int:
    """Run something in a forked process; its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


@pytest.mark.parametrize("kind", [LocalWindow, SharedWindow])
def test_as_many_as_allowed_start_in_any_minute(kind: Callable[[int], RequestWindow]) -> None:
    window = kind(3)
    assert [window.reserve(at) for at in (0.0, 10.0, 20.0)] == [0.0] * 3
    assert window.reserve(20.0) == 40.0
    assert window.reserve(59.5) == 0.5
    assert window.reserve(60.0) == 0.0
    assert window.reserve(60.0) == 10.0
    assert window.reserve(70.0) == 0.0


def test_processes_share_the_limit_and_lose_no_reservation() -> None:
    window = SharedWindow(1_000)

    def reserve(count: int) -> None:
        for _ in range(count):
            while window.reserve(1.0):
                pass

    pids = [in_another_process(lambda: reserve(245)) for _ in range(4)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    reserve(20)
    assert window.reserve(1.0) == 60.0


def test_a_process_that_is_killed_gives_the_lock_back() -> None:
    window = SharedWindow(2)
    ready, says = os.pipe()

    def hold() -> None:
        fcntl.lockf(window.fd, fcntl.LOCK_EX)
        os.write(says, b"x")
        signal.pause()

    pid = in_another_process(hold)
    os.read(ready, 1)
    assert 0 < window.reserve(0.0) < 0.1, "nobody waits for a lock whose holder may be stopped"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert window.reserve(0.0) == 0.0
    os.close(ready)
    os.close(says)
