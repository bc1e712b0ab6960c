"""One mutant tried: the tests that reach it, nearest first, until one fails or the time is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.mutation.coverage_map import Timed
from tests.mutation.trees import Tree

FIRST_SECONDS = 3.0
"""Tests that are tried first: most mutants fall here, and fewer tests are imported sooner."""
_MARK = "MUTATION_TRIAL"


class How(StrEnum):
    FAILED = "failed"
    """A test failed."""

    HUNG = "hung"
    """A test was not over after many times its time."""

    BROKEN = "broken"
    """The tests cannot even be imported."""

    PASSED = "passed"
    LATE = "late"
    """Not all tests were tried in the time of a mutant, and none failed."""


@dataclass(frozen=True, slots=True)
class Ended:
    how: How
    test: str = ""


@dataclass(slots=True)
class Trials:
    """Runs tests in one tree. `sound` and `unsound` are shared by all trees."""

    tree: Tree
    sound: set[str] = field(default_factory=set)
    """Tests that pass without a mutant."""

    unsound: set[str] = field(default_factory=set)

    slack_seconds: float = 10.0
    """How long a test may take beyond ten times its time until it counts as hung: others use the machine."""

    def run(self, tests: Sequence[Timed], seconds: float) -> Ended:
        """Run the tests in this order, for at most so long."""
        until = time.monotonic() + seconds
        for chunk in chunks([one for one in tests if one.name not in self.unsound]):
            left = until - time.monotonic()
            ended = self._run_chunk(chunk, left) if left > 1 else Ended(How.LATE)
            if ended.how is not How.PASSED:
                return ended
        return Ended(How.PASSED)

    def passes(self, test: Timed) -> bool | None:
        """Whether a test passes in the tree as it is now, None when it took too long; tried once each."""
        if test.name not in self.sound | self.unsound:
            ended = self._run_chunk([test], self._patience(test.seconds) + 30)
            if ended.how is How.LATE:
                return None
            (self.sound if ended.how is How.PASSED else self.unsound).add(test.name)
        return test.name in self.sound

    def _patience(self, seconds: float) -> float:
        return self.slack_seconds + 10.0 * seconds

    def run_alone(self, argv: Sequence[str], seconds: float) -> int | None:
        """Run Python with these arguments. The exit code, None when it takes longer."""
        with self._started(argv) as process, suppress(subprocess.TimeoutExpired):
            return process.wait(seconds)
        return None

    def _run_chunk(self, tests: Sequence[Timed], seconds: float) -> Ended:
        record = self.tree.scratch / "record.jsonl"
        record.write_text("")
        argv = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "tests.mutation.recorder"]
        argv += ["--record", str(record), *(one.name for one in tests)]
        known = {one.name: one.seconds for one in tests}
        until = time.monotonic() + seconds
        with self._started(argv) as process:
            while process.poll() is None:
                running, since = _running(record)
                if running and time.time() - since > self._patience(known.get(running, 0.0)):
                    return Ended(How.HUNG, running)
                if time.monotonic() > until:
                    return Ended(How.LATE, running)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
        return _judged(process.returncode, record)

    @contextmanager
    def _started(self, argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        """pytest, of which nothing is left afterwards."""
        mark = uuid.uuid4().hex
        env = {**os.environ, _MARK: mark, "TMPDIR": str(self.tree.scratch)}
        with (self.tree.scratch / "output").open("wb") as output:
            process = subprocess.Popen(
                [str(self.tree.python), *argv],
                cwd=self.tree.root,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # fixtures stop what they started
                with suppress(subprocess.TimeoutExpired):
                    process.wait(5)
            for pid in _marked(mark):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def chunks(tests: Sequence[Timed]) -> Iterator[list[Timed]]:
    """The first few seconds of tests, and then the others."""
    first, total = 0, 0.0
    while first < len(tests) and total < FIRST_SECONDS:
        total += tests[first].seconds
        first += 1
    yield from (list(part) for part in (tests[:first], tests[first:]) if part)


def _running(record: Path) -> tuple[str, float]:
    """The test that is running, and since when; none after the end of one."""
    lines = record.read_text("utf-8").splitlines()
    last = _line(lines[-1]) if lines else {}
    if last.get("event") == "began":
        return str(last["test"]), record.stat().st_mtime
    return "", 0.0


def _line(text: str) -> Mapping[str, object]:
    """One line of a record, which may not be complete yet."""
    try:
        value: Mapping[str, object] = json.loads(text)
    except ValueError:
        return {}
    return value


def _judged(code: int, record: Path) -> Ended:
    if code == 0:
        return Ended(How.PASSED)
    failed = [
        one for one in map(_line, record.read_text("utf-8").splitlines()) if one.get("outcome") == "failed"
    ]
    if failed:
        return Ended(How.FAILED, str(failed[0]["test"]))
    running, _ = _running(record)
    # A test that takes pytest down with it has noticed as well.
    return Ended(How.FAILED, running) if running else Ended(How.BROKEN)


def _marked(mark: str) -> Iterator[int]:
    """The processes that a trial started, whatever they made of themselves."""
    wanted = f"{_MARK}={mark}".encode()
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            with suppress(OSError):
                if wanted in (place / "environ").read_bytes().split(b"\0"):
                    yield int(place.name)
