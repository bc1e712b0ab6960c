"""The flag through the OpenFeature API, in both directions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import Reason
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from multi_agent.rollout.assignment import Flag, assigned, key_hash
from multi_agent.rollout.flags import FixedFlag
from multi_agent.rollout.openfeature import ENABLED_FLAG, PERCENT_FLAG, OpenFeatureFlag, RolloutProvider

FLAG = Flag(25, 10, "trial", 1, "running")


@pytest.fixture(autouse=True)
def _no_provider_stays() -> Iterator[None]:
    yield
    api.clear_providers()


def test_our_provider_carries_the_whole_flag() -> None:
    api.set_provider_and_wait(RolloutProvider(FixedFlag(FLAG)))
    client = api.get_client()
    assert OpenFeatureFlag(client).flag() == FLAG
    found = client.get_integer_details(PERCENT_FLAG, 0)
    assert (found.value, found.reason) == (25, Reason.CACHED)


def test_our_provider_says_of_a_key_whether_multi_agent_answers_it() -> None:
    api.set_provider_and_wait(RolloutProvider(FixedFlag(FLAG)))
    client = api.get_client()
    for number in range(200):
        key = f"key {number}"
        expected = assigned(FLAG, key_hash("trial", key)) == "multi_agent"
        assert client.get_boolean_value(ENABLED_FLAG, not expected, EvaluationContext(key)) is expected
    assert client.get_boolean_value(ENABLED_FLAG, True) is True, "without a key the caller's default"


def test_other_flags_are_not_ours() -> None:
    api.set_provider_and_wait(RolloutProvider(FixedFlag(FLAG)))
    client = api.get_client()
    assert client.get_integer_value("other", 7) == 7
    assert client.get_boolean_value("other", True) is True
    assert client.get_string_value(PERCENT_FLAG, "a") == "a"
    assert client.get_float_value("other", 0.5) == 0.5
    assert client.get_object_value("other", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(("served", "expected"), [(40, 40), (140, 100), (-3, 0)])
def test_any_provider_may_serve_the_percentage(served: int, expected: int) -> None:
    api.set_provider_and_wait(InMemoryProvider({PERCENT_FLAG: InMemoryFlag("on", {"on": served})}))
    assert OpenFeatureFlag(api.get_client()).flag() == Flag(expected)


def test_without_an_answer_nobody_is_sent_over() -> None:
    assert OpenFeatureFlag(api.get_client()).flag() == Flag()
