"""Writes files, and asks the repository's linter what is new in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from agents.tools.bench import Bench
from agents.tools.shown_text import head_and_tail
from contracts.ports.sandbox import Verdict

_CHARACTERS: Final = 3_000
_FILE: Final = "{file}"
_PLACE: Final = re.compile(r":\d+(?::\d+)?")
"""Of a finding: what stands above it moves it."""


async def linted(bench: Bench, files: Mapping[str, bytes]) -> str:
    """Write the files; return what the linter finds in them that it did not find before, "" for nothing."""
    unknown = [path for path in files if path not in bench.findings]
    for path, found in (await _findings(bench, unknown)).items():
        bench.findings[path] = _without_places(found)
    for path, content in files.items():
        await bench.workspace.write(path, content)
        bench.written.add(path)
    new: list[str] = []
    for path, found in (await _findings(bench, files)).items():
        new += _new(found, bench.findings.get(path, Counter()))
        bench.findings[path] = _without_places(found)
    return f"\nnew for the linter:\n{head_and_tail(chr(10).join(new), _CHARACTERS)}" if new else ""


async def _findings(bench: Bench, paths: Iterable[str]) -> dict[str, list[str]]:
    """What the linter says of each file. One that takes too long is not asked again."""
    found: dict[str, list[str]] = {}
    for path in paths:
        if not bench.lint:
            return found
        argv = tuple(word.replace(_FILE, path) for word in bench.lint)
        result = await bench.exec(argv, bench.lint_seconds)
        if result.verdict is Verdict.TIMEOUT:
            bench.lint = ()
            return found
        output = (result.stdout + b"\n" + result.stderr).decode("utf-8", "replace")
        found[path] = [line.strip() for line in output.splitlines() if path in line]
    return found


def _without_places(found: Iterable[str]) -> Counter[str]:
    return Counter(_PLACE.sub("", line, count=1) for line in found)


def _new(found: Iterable[str], before: Counter[str]) -> list[str]:
    """The lines of findings that were not there, however they have moved."""
    left = Counter(before)
    new: list[str] = []
    for line in found:
        plain = _PLACE.sub("", line, count=1)
        if left[plain]:
            left[plain] -= 1
        else:
            new.append(line)
    return new
