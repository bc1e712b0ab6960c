"""Many schedules in several processes, and what comes of one."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from tests.simulation.asking import check_asked
from tests.simulation.violations import Violation
from tests.simulation.wiring import light_messages
from tests.simulation.world import World

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """invariant: the one that was violated, or, when the code itself has `crashed`, with what."""

    seed: int
    invariant: str
    crashed: bool = False

    @property
    def rule(self) -> str:
        """What it is about, without the particulars."""
        return self.invariant.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Summary:
    """stale: outcomes and losses of dispatches that were current no more; all of them were refused.

    plans, looks, answers: what agents asked for and were given. refused: executions that could not be paid.
    """

    schedules: int = 0
    stale: int = 0
    failures: tuple[Failure, ...] = ()
    plans: int = 0
    looks: int = 0
    answers: int = 0
    refused: int = 0

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            self.schedules + other.schedules,
            self.stale + other.stale,
            self.failures + other.failures,
            self.plans + other.plans,
            self.looks + other.looks,
            self.answers + other.answers,
            self.refused + other.refused,
        )


def broken(
    seed: int, recording: Sequence[int] | None = None, tell: Callable[[str], None] | None = None
) -> tuple[Failure | None, World]:
    """Play one schedule: what it broke, or None."""
    world = World(seed, recording, tell)
    try:
        world.run()
        for tasks in world.store.tasks.values():
            plans, looks, answers = check_asked(tasks.values())
            world.plans += plans
            world.looks += looks
            world.answers += answers
    except Violation as violation:
        return Failure(seed, str(violation)), world
    except Exception as error:
        return Failure(seed, f"{type(error).__name__}: {error}", crashed=True), world
    return None, world


def play(seeds: Iterable[int]) -> Summary:
    """Schedules one after the other, in this process."""
    schedules, stale, plans, looks, answers, refused, failures = 0, 0, 0, 0, 0, 0, []
    gc.freeze()  # or each collection looks at all that was imported
    gc.set_threshold(50_000)
    with light_messages():
        for seed in seeds:
            failure, world = broken(seed)
            schedules += 1
            stale += world.stale[0]
            plans += world.plans
            looks += world.looks
            answers += world.answers
            refused += world.crew.books.refused
            if failure is not None:
                failures.append(failure)
    return Summary(schedules, stale, tuple(failures), plans, looks, answers, refused)


def play_all(first: int, schedules: int, jobs: int) -> Iterator[Summary]:
    """The same in `jobs` processes, a summary for every chunk."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(play, chunks(first, schedules, CHUNK))


def chunks(first: int, schedules: int, size: int) -> list[range]:
    """The seeds from `first` on, so many, in parts."""
    end = first + schedules
    return [range(start, min(start + size, end)) for start in range(first, end, size)]
