"""Mutants of every guard and every pair of effects, found by a tool: which test notices?

    python -m tests.mutation --sample 300 --seed 1 [--jobs 2] [--write docs/mutation.md]
    python -m tests.mutation --only orchestrator/service/recovery.py --list
    python -m tests.mutation --measure tests/runtime/test_outbox.py

The first run measures which test executes which line, about five minutes. What was found is kept in
`build/mutation`; an interrupted run goes on where it was.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import click

from tests.mutation.arguments import arguments
from tests.mutation.attempt import Result, Verdict, attempt
from tests.mutation.coverage_map import FOLDERS, CoverageMap, MapFailed, measure
from tests.mutation.finding import PACKAGES, ROOMS, find, sample
from tests.mutation.ledger import Ledger
from tests.mutation.mutant import Mutant
from tests.mutation.table import page, summary
from tests.mutation.trees import copied
from tests.mutation.trial import Trials

ROOT = Path(__file__).parents[2]


@click.command(help=__doc__)
@click.option("--sample", "size", type=int, help="So many at random instead of all.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--only", multiple=True, help="A file or folder; may be given several times.")
@click.option("--jobs", type=int, default=1, show_default=True, help="Mutants tried at once.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="The time of a mutant.")
@click.option(
    "--again",
    multiple=True,
    type=click.Choice(list(Verdict), case_sensitive=False),
    help="Try also these once more.",
)
@click.option("--list", "listed", is_flag=True, help="Say what would be tried, and what is known of it.")
@click.option("--measure", "measured", multiple=True, help="Add tests to the map of what they execute.")
@click.option("--state", type=click.Path(path_type=Path), default=ROOT / "build/mutation", show_default=True)
@click.option("--write", type=click.Path(path_type=Path), help="Write the page.")
def main(
    size: int | None,
    seed: int,
    only: tuple[str, ...],
    jobs: int,
    seconds: float,
    again: tuple[str, ...],
    listed: bool,
    measured: tuple[str, ...],
    state: Path,
    write: Path | None,
) -> None:
    """Run it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))  # the copies are removed
    chosen = find(ROOT, only or ROOMS)
    if size is not None:
        chosen = sample(chosen, size, seed)
    state.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(state / "ledger.jsonl")
    if measured:
        _measure(state / "map", [measured], jobs)
    elif listed:
        for mutant in chosen:
            result = ledger.results.get(mutant.key)
            click.echo(f"{result.verdict if result else 'not run':9} {mutant.key}")
    else:
        waiting = [one for one in chosen if _is_due(one, ledger, again)]
        _try_all(waiting, _map(state / "map", jobs), ledger, jobs, seconds)
    click.echo(summary(chosen, ledger.results, arguments()))
    if write:
        what = f"{len(chosen)} at random, seed {seed}" if size else "all of them"
        write.write_text(page(chosen, ledger.results, arguments(), what), "utf-8")


def _is_due(mutant: Mutant, ledger: Ledger, again: tuple[str, ...]) -> bool:
    result = ledger.results.get(mutant.key)
    return result is None or result.verdict in again


def _map(folder: Path, jobs: int) -> CoverageMap:
    """All folders of tests; those that an interrupted run left out are measured now."""
    known = CoverageMap(folder)
    missing = [(name,) for name in FOLDERS if not known.knows(name)]
    if missing:
        _measure(folder, missing, max(2, jobs))
        known = CoverageMap(folder)
    return known


def _measure(folder: Path, parts: Sequence[tuple[str, ...]], jobs: int) -> None:
    for tests in parts:
        click.echo(f"measuring {' '.join(tests)}", err=True)
        try:
            measure(ROOT, folder, tests, PACKAGES, jobs)
        except MapFailed as error:
            raise click.ClickException(str(error)) from error


def _try_all(mutants: list[Mutant], known: CoverageMap, ledger: Ledger, jobs: int, seconds: float) -> None:
    sound: set[str] = set()
    unsound: set[str] = set()
    free: SimpleQueue[Trials] = SimpleQueue()

    def one(mutant: Mutant) -> Result:
        trials = free.get()
        try:
            reaching = known.reaching(trials.tree.root, mutant.file, mutant.reached)
            return attempt(trials, mutant, reaching, seconds)
        finally:
            free.put(trials)

    with ExitStack() as stack:
        for _ in range(min(jobs, len(mutants))):
            free.put(Trials(stack.enter_context(copied(ROOT)), sound, unsound))
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        for result in pool.map(one, mutants):
            ledger.add(result)
            click.echo(f"{result.verdict:9} {result.seconds:5.1f} s  {result.key}  {result.by}")
    for name in sorted(unsound):
        click.echo(f"fails without a mutant, and was left out: {name}", err=True)


if __name__ == "__main__":
    sys.exit(main())
