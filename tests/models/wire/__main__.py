"""Tries each property on many examples: `python -m tests.models.wire --examples 20000`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.printing import print_line
from tests.models.wire import properties
from tests.models.wire.strategies import odds, requests, responses

PROPERTIES: tuple[tuple[Any, ...], ...] = (
    (properties.check_what_is_said_is_read_again, requests()),
    (properties.check_round_trips, requests()),
    (properties.check_unknown_fields_are_named, requests()),
    (properties.check_odd_bodies_are_answered, requests(), responses(), odds, st.integers(0, 10_000)),
    (properties.check_an_answer_comes_back, responses()),
    (properties.check_streams_add_up, responses()),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=5_000)
    examples = parser.parse_args().examples
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    for check, *strategies in PROPERTIES:
        started = time.monotonic()
        attempt: Any = given(*strategies)
        settings(max_examples=examples, deadline=None, suppress_health_check=slow)(attempt(check))()
        print_line(f"{check.__name__}: {examples} examples, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
