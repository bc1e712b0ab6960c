"""The splitter: who answers, what is recorded, and that no trouble of ours reaches the caller."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from statistics import median
from typing import Any

import pytest

from contracts.base.errors import InvalidInput, ModelUnavailable
from contracts.messages.rollout import Begun, Ended, Rated
from multi_agent.rollout import ArmAnswer, LegacyOnly, TrafficSplitter
from multi_agent.rollout.assignment import Flag, assigned, key_hash
from multi_agent.rollout.flags import FixedFlag, Overridden
from tests.rollout.arms import Kept, flag, legacy, ours, until


def test_keys_stay_with_their_arm_and_shares_are_kept() -> None:
    counts = Counter(
        assigned(Flag(10, 15, "trial"), key_hash("trial", f"key {number}")) for number in range(20_000)
    )
    assert counts["multi_agent"] / 20_000 == pytest.approx(0.10, abs=0.01)
    assert counts["shadowed"] / 20_000 == pytest.approx(0.15, abs=0.01)
    for number in range(2_000):
        hashed = key_hash("trial", f"key {number}")
        arms = [assigned(Flag(percent, 0, "trial"), hashed) for percent in range(101)]
        assert arms == sorted(arms), "a key that multi-agent answers at some percentage, it answers at more"
        assert (arms[0], arms[100]) == ("legacy", "multi_agent")


def test_each_rollout_draws_other_keys() -> None:
    first = {number for number in range(2_000) if int(key_hash("a", str(number))[:8], 16) < 1 << 29}
    second = {number for number in range(2_000) if int(key_hash("b", str(number))[:8], 16) < 1 << 29}
    assert len(first & second) < len(first) / 3


def test_both_arms_are_recorded_with_what_they_say_of_themselves() -> None:
    kept = Kept()
    splitter = TrafficSplitter(legacy=legacy, multi_agent=ours, flags=flag(100), recorder=kept)
    assert splitter.call("hello", key="k", request_id="r1") == "ours hello"
    splitter.rate("r1", 5)
    splitter.complain("r1")
    begun, ended, rated, complained = kept.records
    assert isinstance(begun, Begun)
    assert (begun.rollout, begun.request_id, begun.percent, begun.assigned) == (
        "trial",
        "r1",
        100,
        "multi_agent",
    )
    assert isinstance(ended, Ended)
    assert (ended.arm, ended.success, ended.iterations, ended.cost_usd, ended.findings) == (
        "multi_agent",
        True,
        3,
        0.25,
        0,
    )
    assert isinstance(rated, Rated)
    assert isinstance(complained, Rated)
    assert (rated.rating, complained.rating, complained.complaint) == (5, 1, True)


def test_a_bare_value_is_measured() -> None:
    kept = Kept()
    splitter = TrafficSplitter(
        legacy=legacy,
        multi_agent=lambda request: request.upper(),
        flags=flag(100),
        recorder=kept,
        measure=lambda value: ArmAnswer(value, success=len(value) < 3),
    )
    assert [splitter.call(text, key="k") for text in ("ab", "abc")] == ["AB", "ABC"]
    assert kept.ended() == [("multi_agent", True, False), ("multi_agent", False, False)]


def test_a_measure_that_fails_is_no_error_of_the_caller() -> None:
    kept = Kept()

    def measure(value: object) -> ArmAnswer:
        raise ZeroDivisionError

    splitter = TrafficSplitter(legacy=legacy, multi_agent=ours, flags=flag(0), recorder=kept, measure=measure)
    assert splitter.call("x", key="k") == "legacy x"
    assert kept.ended() == [("legacy", False, False)]


@pytest.mark.parametrize("returned", [True, None, "an answer"])
def test_a_measure_that_returns_something_else_is_none_either(returned: Any) -> None:
    kept = Kept()
    splitter = TrafficSplitter(
        legacy=legacy, multi_agent=ours, flags=flag(0), recorder=kept, measure=lambda value: returned
    )
    assert splitter.call("x", key="k") == "legacy x"
    assert kept.ended() == [("legacy", False, False)]


@pytest.mark.parametrize("error", [LegacyOnly(), ModelUnavailable("busy"), ConnectionResetError()])
def test_what_our_arm_cannot_take_the_legacy_arm_answers(error: Exception) -> None:
    kept = Kept()

    def away(request: str) -> str:
        raise error

    splitter = TrafficSplitter(legacy=legacy, multi_agent=away, flags=flag(100), recorder=kept)
    assert splitter.call("x", key="k") == "legacy x"
    assert kept.ended() == [("multi_agent", False, True)], "and the legacy arm's answer is no evidence of it"


def test_an_error_of_an_arm_itself_reaches_the_caller_and_is_a_failure() -> None:
    kept = Kept()

    def broken(request: str) -> str:
        raise ValueError("mine")

    for percent in (0, 100):
        splitter = TrafficSplitter(legacy=broken, multi_agent=broken, flags=flag(percent), recorder=kept)
        with pytest.raises(ValueError, match="mine"):
            splitter.call("x", key="k")
    assert kept.ended() == [("legacy", False, False), ("multi_agent", False, False)]


async def test_coroutine_functions_are_awaited_and_plain_ones_run_in_threads() -> None:
    kept = Kept()

    async def ours_later(request: str) -> ArmAnswer:
        await asyncio.sleep(0)
        return ours(request)

    arms = {"legacy": legacy, "multi_agent": ours_later, "recorder": kept}
    at_once = TrafficSplitter(**arms, flags=flag(100))  # type: ignore[arg-type]
    in_the_shadow = TrafficSplitter(**arms, flags=flag(0, 100))  # type: ignore[arg-type]
    assert await at_once.acall("x", key="k") == "ours x"
    assert await in_the_shadow.acall("x", key="k") == "legacy x"
    await asyncio.to_thread(until, lambda: len(kept.ended()) == 3)
    with pytest.raises(InvalidInput, match="await `acall`"):
        at_once.call("x", key="k")


@pytest.mark.parametrize("shares", [(0, 0), (100, 0)])
async def test_what_a_plain_function_returns_is_awaited_or_refused(shares: tuple[int, int]) -> None:
    kept = Kept()

    async def later(request: str) -> ArmAnswer:
        return ours(request)

    arm = lambda request: later(request)  # noqa: E731, PLW0108 - a plain function, as programs wrap theirs
    splitter = TrafficSplitter(legacy=arm, multi_agent=arm, flags=flag(*shares), recorder=kept)
    assert await splitter.acall("x", key="k") == "ours x"
    with pytest.raises(InvalidInput, match="await `acall`"):
        splitter.call("x", key="k")
    assert [success for _, success, _ in kept.ended()] == [True, False]


async def test_a_caller_who_gives_up_ends_nothing() -> None:
    kept = Kept()

    async def for_ever(request: str) -> str:
        await asyncio.sleep(60)
        return ""

    splitter = TrafficSplitter(legacy=legacy, multi_agent=for_ever, flags=flag(100), recorder=kept)
    task = asyncio.create_task(splitter.acall("x", key="k"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept.ended() == []


@pytest.mark.parametrize(
    ("enabled", "percent", "state", "expected"),
    [
        (None, None, "running", (30, 10)),
        (False, None, "running", (0, 0)),
        (False, 80, "running", (0, 0)),
        (True, 80, "running", (80, 0)),
        (None, 80, "rolled_back", (0, 0)),
    ],
)
def test_an_override_is_for_one_process_and_never_against_a_rollback(
    enabled: bool | None, percent: int | None, state: str, expected: tuple[int, int]
) -> None:
    source = FixedFlag(Flag(30, 10, "trial", 0, state))  # type: ignore[arg-type]
    found = Overridden(source, enabled, percent).flag()
    assert (found.percent, found.shadow) == expected


def test_without_a_rollout_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI_AGENT_TRAFFIC_PERCENT", "100")
    splitter = TrafficSplitter(legacy=legacy, multi_agent=ours)
    assert splitter.call("x", key="k") == "ours x"
    splitter.rate("r", 1)
    splitter.close()
    monkeypatch.setenv("ENABLE_MULTI_AGENT", "false")
    assert TrafficSplitter(legacy=legacy, multi_agent=ours).call("x", key="k") == "legacy x"


@pytest.mark.parametrize(("state", "percent"), [("rolled_back", 0), ("completed", 100)])
def test_what_comes_after_the_end_is_answered_and_only_ratings_are_recorded(state: str, percent: int) -> None:
    kept, ended = Kept(), FixedFlag(Flag(percent, 0, "trial", 0, state))  # type: ignore[arg-type]
    splitter = TrafficSplitter(legacy=legacy, multi_agent=ours, flags=ended, recorder=kept)
    assert splitter.call("x", key="k") == ("ours x" if percent else "legacy x")
    splitter.rate("an answer of before", 2)
    assert [one.kind for one in kept.records] == ["rated"]


@pytest.mark.parametrize("name", ["", "a" * 500, "a\x00b", "\ud800", "\x1b[2J"])
def test_any_id_and_any_word_of_an_arm_is_taken(name: str) -> None:
    kept = Kept()

    def odd(request: str) -> ArmAnswer:
        return ArmAnswer("odd", cost_usd=float("nan"), iterations=-3)

    splitter = TrafficSplitter(legacy=legacy, multi_agent=odd, flags=flag(100), recorder=kept)
    assert splitter.call("x", key=name, request_id=name) == "odd"
    begun, ended = kept.records
    assert begun.request_id == ended.request_id
    assert begun.request_id.isprintable()
    assert kept.ended() == [("multi_agent", True, False)], "that it ended is known, whatever it says"
    splitter.rate(name or "r", 1)
    assert len(kept.records) == 3


@pytest.mark.parametrize("rating", [0, 6])
def test_a_rating_is_from_1_to_5(rating: int) -> None:
    splitter = TrafficSplitter(legacy=legacy, multi_agent=ours, flags=flag(0), recorder=Kept())
    with pytest.raises(InvalidInput, match="give 1 to 5"):
        splitter.rate("r", rating)


def test_a_call_costs_little() -> None:
    splitter = TrafficSplitter(legacy=legacy, multi_agent=ours, flags=flag(10), recorder=Kept())
    took = []
    for number in range(2_000):
        begun = time.perf_counter()
        splitter.call("x", key=str(number))
        took.append(time.perf_counter() - begun)
    assert median(took) < 0.0005  # 0.2 ms is the promise; on a busy machine of half the speed this holds
