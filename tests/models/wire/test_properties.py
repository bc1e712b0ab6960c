"""Conversions of any request and any answer between any two formats."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multi_agent.models.wire.canonical import WireRequest, WireResponse
from tests.models.wire import properties
from tests.models.wire.strategies import odds, requests, responses

FEW = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(requests())
def test_what_is_said_is_read_again(request: WireRequest) -> None:
    properties.check_what_is_said_is_read_again(request)


@FEW
@given(requests())
def test_round_trips(request: WireRequest) -> None:
    properties.check_round_trips(request)


@settings(FEW, max_examples=4)
@given(requests())
def test_unknown_fields_are_named(request: WireRequest) -> None:
    properties.check_unknown_fields_are_named(request)


@settings(FEW, max_examples=30)
@given(requests(), responses(), odds, st.integers(0, 10_000))
def test_odd_bodies_are_answered(request: WireRequest, response: WireResponse, odd: Any, at: int) -> None:
    properties.check_odd_bodies_are_answered(request, response, odd, at)


@FEW
@given(responses())
def test_an_answer_comes_back(response: WireResponse) -> None:
    properties.check_an_answer_comes_back(response)


@FEW
@given(responses())
def test_streams_add_up(response: WireResponse) -> None:
    properties.check_streams_add_up(response)
