"""`python -m tests.simulation --schedules 100000`; with `--seed N` alone it replays one and explains it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from tests.simulation.running import Summary, broken, chunks, play, play_all
from tests.simulation.shrinking import shrunk
from tests.simulation.wiring import light_messages


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1, help="how many; seeds count up")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--first", action="store_true", help="stop at the first failure, without a trace")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    return parser.parse_args()


def explain(seed: int) -> str | None:
    """Print the shortest trace of a failing seed. The invariant, None when nothing fails."""
    with light_messages():
        failure, world = broken(seed)
        if failure is None:
            return None
        rule = failure.rule

        def fails_alike(choices: Sequence[int]) -> bool:
            found, _ = broken(seed, choices)
            return found is not None and found.rule == rule

        failure, _ = broken(seed, shrunk(world.choices.made, fails_alike), print)
    assert failure is not None
    print(f"\nviolated: {failure.invariant}\nreplay:   python -m tests.simulation --seed {seed}")
    return failure.invariant


def _many(first: int, schedules: int, jobs: int) -> int:
    began = time.perf_counter()
    total = Summary()
    for summary in play_all(first, schedules, jobs):
        total += summary
    seconds = time.perf_counter() - began
    print(
        f"{total.schedules:,} schedules in {seconds:.0f} s ({total.schedules / seconds:,.0f}/s), "
        f"{total.stale:,} stale inputs refused, {total.plans:,} plans, {total.answers:,} answers and "
        f"{total.looks:,} looks at tests asked for, {len(total.failures)} failures"
    )
    for failure in total.failures[:20]:
        print(f"seed {failure.seed}: {failure.invariant}")
    if total.failures:
        explain(total.failures[0].seed)
    return bool(total.failures)


def _first(first: int, schedules: int) -> int:
    for summary in (play(chunk) for chunk in chunks(first, schedules, 50)):
        if summary.failures:
            failure = summary.failures[0]
            print(f"seed {failure.seed}: {failure.invariant}")
            return 1
    return 0


def main() -> int:
    """The exit code: 1 when an invariant is violated."""
    arguments = _arguments()
    if arguments.first:
        return _first(arguments.seed, arguments.schedules)
    if arguments.schedules > 1:
        return _many(arguments.seed, arguments.schedules, arguments.jobs)
    invariant = explain(arguments.seed)
    if invariant is None:
        print(f"seed {arguments.seed}: every invariant holds")
    return invariant is not None


if __name__ == "__main__":
    sys.exit(main())
