"""Requests that both arms work on: nobody waits for the shadow, and it changes no shares."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from math import log
from random import Random

import pytest

from contracts.messages.rollout import Begun
from multi_agent.rollout import ArmAnswer, TrafficSplitter
from multi_agent.rollout.assignment import Flag
from multi_agent.rollout.evidence import OutcomeGroup, gate_log_e
from multi_agent.rollout.flags import FixedFlag
from tests.rollout.arms import Kept, flag, legacy, ours, until


def test_in_the_shadow_both_work_and_legacy_answers_without_waiting() -> None:
    kept, go = Kept(), threading.Event()

    def slow(request: str) -> str:
        go.wait(10)
        return "late"

    splitter = TrafficSplitter(legacy=legacy, multi_agent=slow, flags=flag(0, 100), recorder=kept)
    assert splitter.call("x", key="k") == "legacy x"
    assert kept.ended() == [("legacy", True, False)]
    go.set()
    until(lambda: len(kept.ended()) == 2)
    assert kept.ended()[1] == ("multi_agent", True, False)


def test_without_room_there_is_no_shadow_and_that_is_recorded() -> None:
    kept, go = Kept(), threading.Event()

    def slow(request: str) -> str:
        go.wait(10)
        return "late"

    splitter = TrafficSplitter(legacy=legacy, multi_agent=slow, flags=flag(0, 100), recorder=kept)
    assert {splitter.call("x", key=str(number)) for number in range(40)} == {"legacy x"}
    go.set()
    until(lambda: len(kept.ended()) == 72)
    assert Counter(arm for arm, _, _ in kept.ended()) == {"legacy": 40, "multi_agent": 32}
    given = Counter((one.shadow, one.assigned) for one in kept.records if isinstance(one, Begun))
    assert given == {(100, "shadowed"): 32, (0, "legacy"): 8}


def test_requests_that_need_no_shadow_take_no_place() -> None:
    kept = Kept()
    splitter = TrafficSplitter(legacy=legacy, multi_agent=ours, flags=flag(99, 1), recorder=kept)
    for number in range(200):
        splitter.call("x", key=str(number))
    assert {one.shadow for one in kept.records if isinstance(one, Begun)} == {1}


def test_shadows_that_find_no_room_promote_no_worse_arm() -> None:
    """Legacy 85 %, ours 80 %, a margin of 5 points, and shadows that are long at work."""
    promoted, caller = 0, threading.current_thread()
    for seed in range(6):
        chance, kept, go = Random(seed), Kept(), threading.Event()
        counts: Counter[OutcomeGroup] = Counter()

        def slow(request: str, go: threading.Event = go) -> str:
            if threading.current_thread() is not caller:
                go.wait(30)
            return "late"

        flags = FixedFlag(Flag(10, 15, f"trial {seed}", 0, "running"))
        splitter = TrafficSplitter(legacy=legacy, multi_agent=slow, flags=flags, recorder=kept)
        for number in range(5_000):
            splitter.call("x", key=str(number))
        for one in kept.records:
            if isinstance(one, Begun):
                theirs = None if one.assigned == "multi_agent" else chance.random() < 0.85
                mine = None if one.assigned == "legacy" else chance.random() < 0.80
                counts[OutcomeGroup(0, one.percent, one.shadow, one.assigned, 17, theirs, mine, 1)] += 1
        go.set()
        outcomes = [replace(group, count=count) for group, count in counts.items()]
        promoted += gate_log_e(outcomes, 0.05) >= log(20)
    assert promoted == 0


async def test_shadows_hold_up_no_thread_of_the_loop() -> None:
    kept, go = Kept(), threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))

    def slow(request: str) -> str:
        go.wait(10)
        return "late"

    splitter = TrafficSplitter(legacy=legacy, multi_agent=slow, flags=flag(0, 100), recorder=kept)
    for number in range(4):
        assert await asyncio.wait_for(splitter.acall("x", key=str(number)), 5) == "legacy x"
    go.set()
    await asyncio.to_thread(until, lambda: len(kept.ended()) == 8)


@pytest.mark.parametrize("in_a_loop", [False, True])
def test_a_shadow_has_the_context_of_its_caller(in_a_loop: bool) -> None:
    kept, tenant = Kept(), ContextVar[str]("tenant")
    splitter = TrafficSplitter(
        legacy=legacy, multi_agent=lambda request: tenant.get(), flags=flag(0, 100), recorder=kept
    )
    tenant.set("ann")
    if in_a_loop:
        assert asyncio.run(splitter.acall("x", key="k")) == "legacy x"
    else:
        assert splitter.call("x", key="k") == "legacy x"
    until(lambda: len(kept.ended()) == 2)
    assert sorted(kept.ended()) == [("legacy", True, False), ("multi_agent", True, False)]


async def test_what_a_plain_function_returns_in_the_shadow_is_awaited_in_the_loop() -> None:
    kept, loops = Kept(), []

    async def later(request: str) -> ArmAnswer:
        loops.append(asyncio.get_running_loop())
        return ours(request)

    arm = lambda request: later(request)  # noqa: E731, PLW0108 - a plain function, as programs wrap theirs
    splitter = TrafficSplitter(legacy=legacy, multi_agent=arm, flags=flag(0, 100), recorder=kept)
    assert await splitter.acall("x", key="k") == "legacy x"
    await asyncio.to_thread(until, lambda: len(kept.ended()) == 2)
    assert sorted(kept.ended()) == [("legacy", True, False), ("multi_agent", True, False)]
    assert loops == [asyncio.get_running_loop()]


async def test_a_shadow_that_was_cancelled_before_it_began_leaves_its_place() -> None:
    kept = Kept()

    async def at_once(request: str) -> str:
        return "at once"

    splitter = TrafficSplitter(legacy=at_once, multi_agent=at_once, flags=flag(0, 100), recorder=kept)
    for number in range(40):
        await splitter.acall("x", key=str(number))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.001)
    assert {arm for arm, _, _ in kept.ended()} == {"legacy"}
    assert {one.shadow for one in kept.records if isinstance(one, Begun)} == {100}


NO_THREADS = """
import threading
from multi_agent.rollout import TrafficSplitter
from tests.rollout.arms import Kept, flag, legacy, ours

kept = Kept()
splitter = TrafficSplitter(legacy=legacy, multi_agent=ours, flags=flag(0, 100), recorder=kept)
usual = threading.stack_size()
threading.stack_size(1 << 46)
answers = {splitter.call("x", key=str(number)) for number in range(40)}
threading.stack_size(usual)
print(answers, {one.shadow for one in kept.records if one.kind == "begun"})
"""


def test_where_no_thread_can_be_started_legacy_answers_and_no_place_is_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_THREADS], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip().splitlines()[-1] == "{'legacy x'} {100}"
