"""How many tests of one-line bugs run apart from the code they test, and why the others do not.

    python -m benchmarks.apart MIRRORS FOLDER [--only NAME]

MIRRORS holds a clone of jkoppel/QuixBugs, and of each repository of `benchmarks/fixes`, as OWNER+NAME/repo.
Of QuixBugs all programs count, of the others their newest four fixes of one line whose tests can be run, by
plain pytest, in the environment that is built for them. A build may take --build seconds, a run of tests
--tests. What is measured is added to a file of JSON lines in FOLDER.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.apart.bugs import EACH, Bugs, library, names, quixbugs
from benchmarks.apart.measuring import Measured, judge
from benchmarks.fixes.judging import Place, judged
from contracts.base.errors import MultiAgentError
from contracts.base.printing import print_line

_QUIXBUGS: Final = "jkoppel/QuixBugs"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mirrors", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--build", type=int, default=600)
    parser.add_argument("--tests", type=int, default=60)
    options = parser.parse_args()
    place = Place(options.folder.absolute(), options.build, options.tests)
    place.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    for name in (_QUIXBUGS, *names()):
        if not options.only or name in options.only:
            asyncio.run(_measure(name, options.mirrors.absolute(), place))
    for line in table(read(place.folder / "apart.jsonl")):
        print_line(line)


async def _measure(name: str, mirrors: Path, place: Place) -> None:
    mirror, tree = mirrors / name.replace("/", "+") / "repo", place.folder / "tree"
    many = iter([quixbugs(mirror, tree)]) if name == _QUIXBUGS else library(name, mirror, tree)
    done = 0
    while done < EACH and (bugs := next(many, None)):
        found = [one async for one in _each(bugs, place)]
        done += bool(found)
        with (place.folder / "apart.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(asdict(one))}\n" for one in found)


async def _each(bugs: Bugs, place: Place) -> AsyncIterator[Measured]:
    """Yield what is measured of each bug; nothing where plain pytest passes no test either."""
    try:
        async with judge(bugs, place) as found:
            for name, files in bugs.tests.items():
                measured = await found.measure(name, files)
                if measured.passed or (await judged(bugs.tree, place, files)).passed:
                    yield measured
    except MultiAgentError as error:
        print_line(f"{', '.join(bugs.tests)}: {error}")


def read(file: Path) -> list[Measured]:
    """What was measured, each bug once, as it was last."""
    rows = map(json.loads, file.read_text("utf-8").splitlines())
    return list({row["name"]: Measured(**row) for row in rows}.values())


def table(found: Sequence[Measured]) -> Iterator[str]:
    """Yield the lines of a Markdown table by repository, the reasons, and what was judged wrongly."""
    yield "| repository | bugs | tests that pass | apart | share |"
    yield "|---|---:|---:|---:|---:|"
    groups: dict[str, list[Measured]] = {}
    for one in found:
        groups.setdefault(one.name.partition(" ")[0] if "/" in one.name else _QUIXBUGS, []).append(one)
    for name, some in (*groups.items(), ("all", list(found))):
        passed, apart = sum(one.passed for one in some), sum(one.apart for one in some)
        yield f"| {name} | {len(some)} | {passed} | {apart} | {apart / max(passed, 1):.0%} |"
    reasons: Counter[str] = Counter()
    for one in found:
        reasons.update(one.reasons)
        if one.refused or one.believed:
            yield f"{one.name}: {one.refused or 'passes with its bug'}"
    for reason, count in reasons.most_common():
        yield f"{count} {reason}"


if __name__ == "__main__":
    main()
