"""The outcome as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.mutation.attempt import SCHEDULES, Result, Simulated, Verdict
from tests.mutation.mutant import Mutant

_ARGUED = "argued"
_NOT_RUN = "not run"
_COLUMNS = (Verdict.KILLED, _ARGUED, Verdict.SURVIVED, Verdict.LATE, Verdict.UNREACHED, _NOT_RUN)

_HEAD = """# Mutants found by a tool

Every guard forced true and false, every two neighbouring effects swapped and each dropped, in
`orchestrator`, `agents`, `contracts/runtime` and `contracts/bus`. Each is tried in a
copy of the source with the tests that execute it, nearest and fastest first, for 60 s at most. This page:
{chosen}. `python -m tests.mutation` makes it ([how](../CONTRIBUTING.md#the-one-gate)).

- *killed*: a test fails, hangs (10 s and ten times its time) or cannot be imported, and passes in time
  without the mutant
- *argued*: it lives, and `tests/mutation/arguments.toml` says why it may
- *survived*: all tests that reach it pass
- *late*: no test failed, and its time was over before all had their turn; counts as not killed
- *unreached*: no test executes it; counts as not killed
"""


def state(mutant: Mutant, results: Mapping[str, Result], argued: Mapping[str, str]) -> str:
    """What became of a mutant. An argument does not count for what a test kills."""
    result = results.get(mutant.key)
    if result is not None and result.verdict is Verdict.KILLED:
        return Verdict.KILLED
    if mutant.key in argued:
        return _ARGUED
    return _NOT_RUN if result is None else result.verdict


def summary(mutants: Sequence[Mutant], results: Mapping[str, Result], argued: Mapping[str, str]) -> str:
    """One line."""
    counts = Counter(state(mutant, results, argued) for mutant in mutants)
    parts = ", ".join(f"{counts[name]} {name}" for name in _COLUMNS)
    return f"{len(mutants)} mutants: {parts}"


def page(
    mutants: Sequence[Mutant], results: Mapping[str, Result], argued: Mapping[str, str], chosen: str
) -> str:
    """The page in Markdown."""
    seen = [results[mutant.key] for mutant in mutants if mutant.key in results]
    return "\n".join(
        [
            *_head(chosen),
            *_by_room(mutants, results, argued),
            *_by_check(seen),
            *_lived(mutants, results, argued),
            *_tried(mutants, results),
            "",
        ]
    )


def _head(chosen: str) -> list[str]:
    return [_HEAD.format(chosen=chosen)]


def _by_room(
    mutants: Sequence[Mutant], results: Mapping[str, Result], argued: Mapping[str, str]
) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    for mutant in mutants:
        for room in ("/".join(mutant.file.split("/")[:2]), "all"):
            counts.setdefault(room, Counter())[state(mutant, results, argued)] += 1
    total = counts.pop("all", Counter())
    rows = [*sorted(counts.items()), ("**all**", total)]
    return [
        f"| room | mutants | {' | '.join(_COLUMNS)} |",
        f"|---|{'--:|' * (len(_COLUMNS) + 1)}",
        *(
            f"| {room} | {count.total()} | {' | '.join(str(count[name]) for name in _COLUMNS)} |"
            for room, count in rows
        ),
        "",
    ]


def _by_check(seen: Sequence[Result]) -> list[str]:
    killers = Counter(one.by.partition("::")[0] for one in seen if one.verdict is Verdict.KILLED)
    reached = [one for one in seen if one.simulated is not Simulated.UNREACHED]
    noticed = sum(one.simulated is Simulated.NOTICED for one in reached)
    return [
        f"The simulation reaches {len(reached)} of those that were run, and its schedules alone (the first",
        f"{SCHEDULES:,}) notice {noticed} of them.",
        "",
        "| first to notice | mutants |",
        "|---|--:|",
        *(f"| `{name or 'import'}` | {count} |" for name, count in killers.most_common()),
        "",
    ]


def _lived(mutants: Sequence[Mutant], results: Mapping[str, Result], argued: Mapping[str, str]) -> list[str]:
    rows = []
    for mutant in mutants:
        what = state(mutant, results, argued)
        if what not in {Verdict.KILLED, _NOT_RUN}:
            rows.append(f"| {_name(mutant)} | {what} | {argued.get(mutant.key, '')} |")
    return ["## Those that live", "", "| mutant | | why it may |", "|---|---|---|", *rows, ""]


def _tried(mutants: Sequence[Mutant], results: Mapping[str, Result]) -> list[str]:
    rows = []
    for mutant in sorted(mutants, key=lambda one: one.key):
        result = results.get(mutant.key)
        if result is not None:
            by = f"`{_test(result)}`" if result.verdict is Verdict.KILLED else result.verdict
            rows.append(f"| {_name(mutant)} | {by} | {result.simulated} |")
    return [
        "## Those that were tried",
        "",
        "| mutant | noticed by | the simulation alone |",
        "|---|---|---|",
        *rows,
    ]


def _test(result: Result) -> str:
    """The test, without the folder of all."""
    name = result.by.removeprefix("tests/").replace("|", "/") or "import"
    return f"{name} ({result.how})" if result.how != "failed" else name


def _name(mutant: Mutant) -> str:
    source = mutant.source if len(mutant.source) <= 90 else f"{mutant.source[:87]}..."
    number = f" #{mutant.nth + 1}" if mutant.nth else ""
    source = source.replace("|", "\\|").replace("`", "'")
    return f"{mutant.file} {mutant.function}: {mutant.kind} `{source}`{number}"
