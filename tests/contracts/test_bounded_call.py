"""Calls on foreign text in a process of their own: results, errors, limits, and what is left."""

from __future__ import annotations

import ast
import asyncio
import os
import pickle
import select
import signal
import subprocess
import sys
import time

import pytest

from contracts.base.errors import (
    AgentFailure,
    DecodeError,
    InvalidDocument,
    LimitExceeded,
    Problem,
    Unavailable,
)
from contracts.base.processes.bounded_call import CALL_SECONDS, SMALL, bounded_call, importable
from contracts.base.strict_json import read_json
from tests.support.loop_gap import never_held_up

LARGE = SMALL + 1


def endless() -> None:
    """Take processor time without end."""
    while True:
        pass


def hungry() -> bytes:
    """Take more memory than there may be."""
    return bytes(8 << 30)


def refused() -> None:
    """Raise an error whose constructor takes more than a message."""
    raise AgentFailure("no", code="special", retryable=False)


def printing() -> str:
    """Print what must not be taken for a result."""
    print("printed")
    return "returned"


async def test_a_small_text_stays_in_this_process() -> None:
    assert await bounded_call(SMALL, os.getpid) == os.getpid()
    assert await bounded_call(LARGE, os.getpid) != os.getpid()


async def test_the_process_is_kept_and_what_it_prints_is_no_result() -> None:
    first = await bounded_call(LARGE, os.getpid)
    assert await bounded_call(LARGE, printing) == "returned"
    assert await bounded_call(LARGE, os.getpid) == first


LARGE_PARENT = """
import asyncio, os
from contracts.base.processes.bounded_call import SMALL, bounded_call
held = b"x" * 700_000_000
async def main():
    print(len({await bounded_call(SMALL + 1, os.getpid) for _ in range(3)}))
asyncio.run(main())
"""


def test_it_is_kept_by_a_parent_of_any_size() -> None:
    command = [sys.executable, "-c", LARGE_PARENT]
    assert subprocess.run(command, capture_output=True, check=True, timeout=60).stdout == b"1\n"


async def test_errors_come_through_whole() -> None:
    with pytest.raises(InvalidDocument, match="not JSON") as invalid:
        await bounded_call(LARGE, read_json, b"{", "plan")
    assert invalid.value.document_type == "plan"
    assert [problem.path for problem in invalid.value.problems] == ["$"]
    with pytest.raises(AgentFailure, match="no") as failure:
        await bounded_call(LARGE, refused)
    assert (failure.value.code, failure.value.retryable) == ("special", False)
    with pytest.raises(ValueError, match="invalid literal"):
        await bounded_call(LARGE, int, "x")
    with pytest.raises(ModuleNotFoundError):
        await bounded_call(LARGE, _Elsewhere())


class _Elsewhere:
    def __reduce__(self) -> tuple[object, ...]:
        return __import__, ("no_such_module",)

    def __call__(self) -> None:
        raise AssertionError("never called")


async def test_every_limit_is_named_and_the_next_call_works() -> None:
    began = time.process_time()
    for function, named in (
        (hungry, "needs more than 1,024 MB of memory to check"),
        (os.abort, r"ends the process that checks it \(SIGABRT\)"),
        (endless, f"takes longer than {CALL_SECONDS} s to check"),
    ):
        with pytest.raises(LimitExceeded, match=named):
            await bounded_call(LARGE, function)
        assert await bounded_call(LARGE, ast.literal_eval, "[1]") == [1]
    assert time.process_time() - began < 1, "the time is the child's"


async def test_a_process_that_cannot_work_is_an_outage() -> None:
    for code in (3, 0):
        with pytest.raises(Unavailable, match=f"exit code {code}"):
            await bounded_call(LARGE, os._exit, code)


async def test_a_child_that_is_gone_is_replaced() -> None:
    first = await bounded_call(LARGE, os.getpid)
    child = os.pidfd_open(first)
    os.kill(first, signal.SIGKILL)
    select.select([child], [], [])
    os.close(child)
    assert await bounded_call(LARGE, os.getpid) != first


async def test_a_cancelled_call_ends_at_once_and_spares_the_next() -> None:
    first = asyncio.create_task(bounded_call(LARGE, endless))
    waiting = asyncio.create_task(bounded_call(LARGE, os.getpid))
    gone = asyncio.create_task(bounded_call(LARGE, endless))
    await asyncio.sleep(0.1)
    gone.cancel()
    first.cancel()
    async with asyncio.timeout(CALL_SECONDS):
        assert await waiting != os.getpid()
    assert (first.cancelled(), gone.cancelled()) == (True, True)


async def test_the_loop_is_not_held_up_by_what_a_call_takes_and_gives() -> None:
    text = "[" + "1," * 2_000_000 + "1]"
    async with never_held_up():
        assert len(await bounded_call(len(text), read_json, text, "list")) == 2_000_001


FORKS = """
import asyncio, os
from contracts.base.processes.bounded_call import SMALL, bounded_call
def ask(): return asyncio.run(bounded_call(SMALL + 1, os.getpid))
first = ask()
if os.fork() == 0:
    os._exit(0 if ask() not in {first, os.getppid(), os.getpid()} else 1)
assert os.wait()[1] == 0
assert ask() == first
"""


def test_a_fork_has_a_child_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)


def test_what_cannot_be_imported_elsewhere_is_known() -> None:
    class Local:
        pass

    assert importable(InvalidDocument)
    assert not importable(Local)
    assert not importable(lambda: None)


def test_errors_are_pickled_with_what_they_carry() -> None:
    for error in (DecodeError("no", b"raw"), InvalidDocument("plan", [Problem("$", "no")])):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
