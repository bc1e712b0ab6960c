"""`python -m benchmarks.rollout`: seeded rollouts in each world, with each gate, as a table."""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.rollout.gates import HORIZON, Course, course, gates
from benchmarks.rollout.worlds import MARGIN, WORLDS
from contracts.base.printing import print_line


def main() -> None:
    """Print a line for each world and gate, and write the figures as JSON."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.rollout", description=__doc__)
    options.add_argument("--rollouts", type=int, default=1_000)
    options.add_argument("--only", action="append", choices=list(WORLDS), help="this world; repeatable")
    options.add_argument("--processes", type=int, default=1)
    options.add_argument("--json", type=Path, help="also write them here")
    given = options.parse_args()
    print_line(f"margin {MARGIN:.0%}, {given.rollouts:,} rollouts a line, limits of errors 5 %")
    print_line(
        f"{'world':32}{'gate':26}{'false promo.':>13}{'false rollb.':>13}{'stage 1 <= 4,000':>18}"
        f"{'completed':>11}{'rolled back':>13}{'median until':>14}{'median exposed':>16}"
    )
    written = []
    with multiprocessing.get_context("fork").Pool(given.processes) as pool:
        for world in given.only or WORLDS:
            of_gate: dict[str, list[Course]] = defaultdict(list)
            seeds = ((world, seed) for seed in range(given.rollouts))
            for played in pool.imap(_play, seeds, chunksize=5):
                for name, one in played.items():
                    of_gate[name].append(one)
            for name, courses in of_gate.items():
                figures = summary(courses)
                written.append({"world": world, "gate": name, "n": len(courses), **figures})
                print_line(_line(world, name, figures))
    if given.json:
        given.json.write_text(json.dumps(written, indent=1) + "\n", "utf-8")


def _play(what: tuple[str, int]) -> dict[str, Course]:
    world, seed = what
    return {name: course(WORLDS[world], gate, seed) for name, gate in gates(seed)}


def summary(courses: list[Course]) -> dict[str, float | None]:
    """Counts of courses, and medians."""
    back = [one.rolled_back for one in courses if one.rolled_back is not None]
    return {
        "false_promotions": sum(one.falsely_promoted for one in courses),
        "false_rollbacks": sum(one.rolled_back is not None and not one.justly for one in courses),
        "first_stage_in_time": sum((one.first_stage or HORIZON + 1) <= HORIZON for one in courses),
        "completed": sum(one.completed for one in courses),
        "rolled_back": len(back),
        "median_requests_until_rollback": median(back) if back else None,
        "median_exposed": median(one.exposed for one in courses),
    }


def _line(world: str, gate: str, figures: dict[str, float | None]) -> str:
    until = figures["median_requests_until_rollback"]
    return (
        f"{world:32}{gate:26}{figures['false_promotions']:>13,}{figures['false_rollbacks']:>13,}"
        f"{figures['first_stage_in_time']:>18,}{figures['completed']:>11,}{figures['rolled_back']:>13,}"
        f"{'-' if until is None else f'{until:,.0f}':>14}{figures['median_exposed']:>16,.0f}"
    )


if __name__ == "__main__":
    main()
