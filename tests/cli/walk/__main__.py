"""`python -m tests.cli.walk`: the whole matrix, some minutes; the tests walk a part of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cli.walk.commands import SERVING, SLOW, all_commands
from tests.cli.walk.settings import Wrong, wrong_settings
from tests.cli.walk.template import USUAL, make_template
from tests.cli.walk.walking import SERVES_SECONDS, Ended, Walker, problem

FINE = Ended(0, "", "")
"""Stands for how a command ends that was refused at once."""


def cases(*, sample: bool) -> Iterator[tuple[str, tuple[str, ...], Wrong]]:
    """Each command with each wrong setting; of a sample, each setting and each command some times."""
    commands = all_commands()
    quick = [name for name in commands if name not in SLOW]
    for number, wrong in enumerate(wrong_settings()):
        for place, (name, words) in enumerate(commands.items()):
            chosen = name == quick[number % len(quick)]
            refused_at_once = wrong.refused and (place + number) % 15 == 0
            if not sample or chosen or refused_at_once:
                yield name, words, wrong


def walk(room: Path, *, sample: bool, part: int, parts: int, only: str) -> int:
    """Walk one part of the cases; print what is wrong; the number of problems."""
    template = room / f"template-{part}"
    asyncio.run(make_template(template))
    walker, found = Walker(template, room), 0
    usual: dict[tuple[str, str], Ended] = {}
    for number, (name, words, wrong) in enumerate(cases(sample=sample)):
        if number % parts != part or only not in f"{name} {wrong}":
            continue
        others = {key: text for key, text in wrong.others.items() if key != wrong.variable}
        key = (name, repr(sorted(others.items())))
        seconds = SERVES_SECONDS if name in SERVING else 5 * SERVES_SECONDS
        ended = walker.run(words, {**USUAL, **others, wrong.variable: wrong.value}, seconds=seconds)
        if key not in usual and not (wrong.refused and ended.code == 2):
            usual[key] = walker.run(words, {**USUAL, **others}, seconds=seconds)
        if said := problem(wrong, ended, usual.get(key, FINE)):
            found += 1
            last = " | ".join(ended.said.splitlines()[-3:])
            print(f"{name} with {wrong}: {said}\n    {last[-400:]}", flush=True)
    return found


def main() -> None:
    """Walk, in two processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", action="store_true", help="a small part of it")
    parser.add_argument("--only", default="", help="cases whose name and setting hold this text")
    parser.add_argument("--parts", type=int, default=2)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="walk-") as folder:
        workers = []
        for part in range(options.parts):
            pid = os.fork()
            if pid == 0:
                found = walk(
                    Path(folder), sample=options.sample, part=part, parts=options.parts, only=options.only
                )
                sys.stdout.flush()
                os._exit(min(found, 99))
            workers.append(pid)
        problems = sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers)
    count = sum(1 for name, _, wrong in cases(sample=options.sample) if options.only in f"{name} {wrong}")
    print(f"{count} cases, {problems} problems, {time.monotonic() - started:.0f} s")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
