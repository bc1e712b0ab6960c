"""Writes the page, the figures as JSON, and the pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from benchmarks.cells import LIMIT, OURS
from benchmarks.goals import Goal, goals
from benchmarks.measuring import Result
from benchmarks.plots import Bar, bars

_TITLES: Final = {
    "dag": "Durable graphs of tasks that do nothing",
    "latency": "From ready to running, on an idle system",
    "queue": "Queue: tasks that do nothing, through one worker, results stored",
    "growth": "Growth: this project with more tasks, workflows and rows",
    "git": "Artifact store: results of three files, own branch, tag",
    "shapes": "Graphs of real workflows",
    "workers": "More workers",
    "command": "Command line, documents, events",
}
_NOTES: Final = {
    "dag": """Measured from the first submission to the end of the last workflow. The Redis of every system
keeps nothing on disk. SQLite is in WAL mode with synchronous=NORMAL, and FULL for our submissions; PostgreSQL
has fsync=off, as in our tests. By hand: one driver with the graph in memory, one worker, and for a batch of
results one transaction and one pipeline. A peer that has graphs is used with them (celery: chains and
chords; dramatiq: pipelines; dbos: steps of a workflow, or its queue polled every 10 ms; langgraph:
nodes with SQLite checkpoints; prefect: futures). For a peer without graphs a driver submits the tasks that
become ready. Peers have one worker process.""",
    "latency": """Measured to the first line of the handler in another process. Ours: from the end of the
commit that makes a task ready. Raw: an XADD and an XREADGROUP between two asyncio processes. Others: from the
submission of a task. arq polls for jobs every 10 ms (its default is 500).""",
    "queue": """celery with its solo pool, dramatiq with 8 threads, huey with 1, faststream with lists in
batches of 100, and with streams and a consumer group in batches of 100. Ours delivers at least once, like arq
and dramatiq. faststream's streams keep a task until it is done, for another subscriber to claim. Its lists,
like the other peers as set up here, remove a task before it is run, so that it is lost when its worker dies.
`worker without Git` is the real loop of our worker on an artifact store that keeps nothing.""",
    "growth": """Tasks are in chains of 10 side by side, so that the depth is the same for every size. The
schema allows 100,000 tasks in a plan and 1,000 dependencies of a task; submissions are limited by
`PlanLimits` (200 tasks, 100 dependencies) unless `MULTI_AGENT_MAX_TASKS` sets another limit. 2 workers.""",
    "git": "Both get the same batches and the same settings of the repository, fsync included.",
    "shapes": """Two graphs with the proportions of Montage (wide) and Epigenomics (deep), about 1,000
tasks each.""",
    "workers": "Each task waits 50 ms, as an agent waits for a model; a worker has 64 slots.",
    "command": """Commands are whole processes; the first call is not counted. Documents and events are
measured within one process.""",
}
_HEAD: Final = """# Benchmarks

Written by `make bench` on {date}, rounds: {rounds}. Every round measures every system, each time in
another order. Figures are medians, the spread is from the lowest to the highest, and ratios are of the same
run. A time counts only if the work was checked: every task ran once, after the tasks that it needs, and its
result is stored.
"""


def write_report(folder: Path, results: Sequence[Result], about: Mapping[str, str], rounds: int) -> Path:
    """Write `benchmarks.md`, `benchmarks.json` and `benchmarks-*.svg`; return the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = dict(_pictures(results))
    for old in folder.glob("benchmarks-*.svg"):
        old.unlink()
    for name, svg in pictures.items():
        (folder / name).write_text(svg, "utf-8")
    reached = goals(results)
    page = folder / "benchmarks.md"
    page.write_text("\n".join(_page(results, reached, about, rounds, list(pictures))) + "\n", "utf-8")
    stored = {
        "date": _today(),
        "rounds": rounds,
        "machine": dict(about),
        "goals": [asdict(goal) for goal in reached],
        "results": [
            {**asdict(one.cell), "job": dict(one.cell.job), "samples": one.samples, "failures": one.failures}
            for one in results
        ],
    }
    (folder / "benchmarks.json").write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", "utf-8")
    return page


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _page(
    results: Sequence[Result],
    reached: Sequence[Goal],
    about: Mapping[str, str],
    rounds: int,
    pictures: list[str],
) -> Iterator[str]:
    yield _HEAD.format(date=_today(), rounds=rounds)
    if reached:
        yield "## Goals\n\n| | wanted | found | |\n|---|---|---|---|"
        for goal in reached:
            found = "none" if goal.found is None else f"{goal.found:,.3g}"
            yield f"| {goal.text} | {goal.wanted} | {found} | {'reached' if goal.met else 'missed'} |"
        yield ""
    for suite, group in groupby(results, key=lambda one: one.cell.suite):
        yield f"## {_TITLES[suite]}\n\n{_NOTES[suite]}\n"
        for case, mine in groupby(group, key=lambda one: one.cell.case):
            yield from _table(case, list(mine))
            name = _picture_name(suite, case)
            if name in pictures:
                yield f"![{case}]({name})\n"
    yield "## Measured with\n\n| | |\n|---|---|"
    yield from (f"| {name} | {value} |" for name, value in about.items())


def _table(case: str, mine: Sequence[Result]) -> Iterator[str]:
    limit = next(
        (one.median() for one in mine if one.cell.system in {LIMIT, "raw hop", "git fast-import"}), None
    )
    extras = list(dict.fromkeys(name for one in mine for sample in one.samples for name in sample))
    extras = [name for name in extras if name not in {"value", "seconds", "count"}]
    columns = [case, mine[0].cell.unit, "spread", "to the limit" if limit else "", *extras]
    yield f"| {' | '.join(columns)} |\n|---|{'---:|' * (len(columns) - 1)}"
    for one in sorted(mine, key=lambda one: _rank(one, mine)):
        value = one.median()
        if value is None:
            why = one.failures[-1].splitlines()[0][:120] if one.failures else "not run"
            yield f"| {one.cell.system} | failed: {why.replace('|', '/')} |{' |' * (len(columns) - 2)}"
            continue
        spread = f"{min(one.all()):,.4g} to {max(one.all()):,.4g}"
        failed = f" ({len(one.failures)} failed)" if one.failures else ""
        ratio = f"{value / limit:.2f}" if limit else ""
        more = [f"{median:,.4g}" if (median := one.median(name)) is not None else "" for name in extras]
        cells = [one.cell.system, f"{value:,.4g}", spread + failed, ratio, *more]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _rank(one: Result, mine: Sequence[Result]) -> float:
    """Sort the best first and failures last, but keep the order of growth."""
    if one.cell.suite == "growth":
        return mine.index(one)
    value = one.median()
    if value is None:
        return float("inf")
    return -value if one.cell.higher else value


def _picture_name(suite: str, case: str) -> str:
    words = "".join(char if char.isalnum() else "-" for char in case.lower())
    return f"benchmarks-{suite}-{'-'.join(filter(None, words.split('-')))}.svg"


def _pictures(results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    for (suite, case), group in groupby(results, key=lambda one: (one.cell.suite, one.cell.case)):
        mine = [one for one in group if one.median()]
        if suite not in {"dag", "latency", "queue", "growth", "git", "shapes", "workers"} or len(mine) < 2:
            continue
        shown = [_bar(one) for one in mine]
        yield _picture_name(suite, case), bars(f"{_TITLES[suite]}: {case}", mine[0].cell.unit, shown)


def _bar(one: Result) -> Bar:
    system = one.cell.system
    limit = system.startswith(("by hand", "raw", "git"))
    kind = "limit" if limit else "ours" if system.startswith(OURS) or one.cell.suite == "growth" else "peer"
    middle, known = one.median() or 1.0, [value for value in one.all() if value > 0]
    return Bar(system, middle, min(known), max(known), kind)
