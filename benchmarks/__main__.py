"""`python -m benchmarks`: measures, and writes the page with the results."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.cells import SUITES, Scale
from benchmarks.machine import machine
from benchmarks.measuring import measure
from benchmarks.report import write_report
from benchmarks.services import ROOT

FULL_ROUNDS = 5


@click.command()
@click.option("--only", metavar="NAME,...", help=f"Parts to measure, of: {', '.join(SUITES)}. [default: all]")
@click.option(
    "--system", "systems", multiple=True, help="Only systems whose name starts with this. Repeatable."
)
@click.option("--rounds", type=click.IntRange(1, 100), help="[default: 5; 1 with --quick or --smoke]")
@click.option("--quick", "scale", flag_value=Scale.QUICK.value, help="Small sizes. Takes a minute or two.")
@click.option(
    "--smoke",
    "scale",
    flag_value=Scale.SMOKE.value,
    help="Tiny sizes, without peers, to test the benchmarks.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the page. [default: docs for a full run, else build/benchmarks]",
)
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, exists=True),
    help="Folder for temporary data. [default: /tmp]",
)
def main(
    only: str | None,
    systems: tuple[str, ...],
    rounds: int | None,
    scale: str | None,
    out: Path | None,
    scratch: Path | None,
) -> None:
    """Measure this project, the hand-written limit and the peers. Write the page, figures and pictures."""
    names = only.split(",") if only else list(SUITES)
    if unknown := set(names) - set(SUITES):
        raise click.BadParameter(f"unknown: {', '.join(sorted(unknown))}", param_hint="--only")
    size = Scale(scale or Scale.FULL)
    cells = [cell for name in names for cell in SUITES[name](size)]
    if systems:
        cells = [cell for cell in cells if cell.system.startswith(systems)]
    times = rounds or (FULL_ROUNDS if size is Scale.FULL else 1)
    about = machine() | {"sizes": size.value}
    results = measure(cells, times, lambda text: click.echo(text, err=True), scratch)
    whole = size is Scale.FULL and not only and not systems
    folder = out or (ROOT / "docs" if whole else ROOT / "build" / "benchmarks")
    click.echo(write_report(folder, results, about, times))
    if not any(result.samples for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
