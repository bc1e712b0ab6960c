"""What agents make of ten small requests, beside one plain question and one plain loop of the same model.

    python -m benchmarks.exercises run FOLDER [--only NAME] [--way question|loop|agents]
    python -m benchmarks.exercises judge FOLDER

The model is that of the environment. Agents work alone unless there are more tasks than two. FOLDER gets a
folder for each exercise, with a folder for each way.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.exercises.beside import ask_once, work_in_a_loop
from benchmarks.exercises.exercise import Exercise, exercises
from benchmarks.fixes.cases import give, keep, kept
from benchmarks.fixes.judging import Place, git, judged
from contracts.base.printing import print_line
from multi_agent.settings import load_settings

WAYS: Final = ("question", "loop", "agents")
_COUNTS: Final = ("model_calls", "input_tokens", "output_tokens")


def main() -> None:
    """Do one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("step", choices=("run", "judge"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--way", choices=WAYS, action="append", default=[])
    options = parser.parse_args()
    folder = options.folder.absolute()
    chosen = [one for one in exercises() if not options.only or one.name in options.only]
    if not chosen:
        parser.error(f"--only: there are {', '.join(one.name for one in exercises())}")
    if options.step == "judge":
        for line in asyncio.run(table(chosen, folder)):
            print_line(line)
        return
    for exercise in chosen:
        for way in options.way or WAYS:
            asyncio.run(work(exercise, way, folder / exercise.name / way))


async def work(exercise: Exercise, way: str, place: Path) -> None:
    """Have an exercise done in one of the ways, anew."""
    shutil.rmtree(place, ignore_errors=True)
    exercise.lay(place / "repository", exercise.stub)
    if way == "agents":
        said = give(place, exercise.request)
        print_line(f"{exercise.name}: {said.get('status', 'no summary')} {said.get('reason') or ''}".rstrip())
        return
    settings = load_settings({"data_dir": place / "data"})
    if way == "question":
        content, usage = await ask_once(exercise, settings)
    else:
        content, usage = await work_in_a_loop(exercise, place / "repository", settings)
    keep(place, "summary", {"content": content, **usage.model_dump(include=set(_COUNTS))})


async def solved(exercise: Exercise, place: Path, judge: Place) -> bool:
    """Whether the hidden tests accept what was made."""
    said, tree = kept(place, "summary"), judge.folder / "tree"
    content = said.get("content", "")
    if commit := said.get("commit") or (said.get("unverified") or {}).get("commit"):
        content = git("-C", said["store"], "show", f"{commit}:{exercise.path}") + "\n"
    shutil.rmtree(tree, ignore_errors=True)
    exercise.lay(tree, content, tests=True)
    found = await judged(tree, judge, ("test_hidden.py",))
    return found.complete and found.passed > 0 and not (found.failing or found.broken)


async def table(chosen: Sequence[Exercise], folder: Path) -> list[str]:
    """The lines of a Markdown table, and the sums."""
    judge = Place(folder / "judge", 60, 60)
    judge.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for exercise in chosen:
        for way in WAYS:
            place = folder / exercise.name / way
            if said := kept(place, "summary"):
                rows.append((exercise, way, said, await solved(exercise, place, judge)))
    return list(_lines(rows))


def _lines(rows: Sequence[tuple[Exercise, str, dict[str, Any], bool]]) -> Iterator[str]:
    yield "| exercise | way | solved | ended | tasks | calls | input | output |"
    yield "|---|---|---|---|---|---:|---:|---:|"
    for exercise, way, said, right in rows:
        counts = " | ".join(str(said[name]) for name in _COUNTS)
        ended, tasks = said.get("status", ""), said.get("tasks", "")
        yield f"| {exercise.name} | {way} | {'yes' if right else 'no'} | {ended} | {tasks} | {counts} |"
    for way in WAYS:
        its = [(said, right) for _, own, said, right in rows if own == way]
        sums = " | ".join(str(sum(said[name] for said, _ in its)) for name in _COUNTS)
        yield f"| all {len(its)} | {way} | {sum(right for _, right in its)} | | | {sums} |"


if __name__ == "__main__":
    main()
