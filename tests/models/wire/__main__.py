"""Tries each property on many examples: `python -m tests.models.wire --examples 20000`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from contracts.base.printing import print_line
from tests.models.wire import properties
from tests.models.wire.strategies import requests, responses

PROPERTIES: tuple[tuple[Callable[[Any], None], SearchStrategy[Any]], ...] = (
    (properties.check_what_is_said_is_read_again, requests()),
    (properties.check_round_trips, requests()),
    (properties.check_unknown_fields_are_named, requests()),
    (properties.check_an_answer_comes_back, responses()),
    (properties.check_streams_add_up, responses()),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=5_000)
    examples = parser.parse_args().examples
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    for check, strategy in PROPERTIES:
        started = time.monotonic()
        settings(max_examples=examples, deadline=None, suppress_health_check=slow)(given(strategy)(check))()
        print_line(f"{check.__name__}: {examples} examples, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
