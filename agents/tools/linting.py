"""Writes files, and asks the repository's linter what is new in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from agents.tools.bench import Bench
from agents.tools.checkers import FILE, new_findings, without_places
from agents.tools.shown_text import head_and_tail
from contracts.ports.sandbox import Verdict

_CHARACTERS: Final = 3_000


async def linted(bench: Bench, files: Mapping[str, bytes]) -> str:
    """Write the files; return what the linter finds in them that it did not find before, "" for nothing."""
    unknown = [path for path in files if path not in bench.findings]
    for path, found in (await _findings(bench, unknown)).items():
        bench.findings[path] = without_places(found)
    for path, content in files.items():
        await bench.workspace.write(path, content)
        bench.written.add(path)
    new: list[str] = []
    for path, found in (await _findings(bench, files)).items():
        new += new_findings(found, bench.findings.get(path, Counter()))
        bench.findings[path] = without_places(found)
    return f"\nnew for the linter:\n{head_and_tail(chr(10).join(new), _CHARACTERS)}" if new else ""


async def _findings(bench: Bench, paths: Iterable[str]) -> dict[str, list[str]]:
    """What the linter says of each file. One that takes too long is not asked again."""
    found: dict[str, list[str]] = {}
    for path in paths:
        if not bench.lint:
            return found
        argv = tuple(word.replace(FILE, path) for word in bench.lint)
        result = await bench.exec(argv, bench.lint_seconds)
        if result.verdict is Verdict.TIMEOUT:
            bench.lint = ()
            return found
        output = (result.stdout + b"\n" + result.stderr).decode("utf-8", "replace")
        found[path] = [line.strip() for line in output.splitlines() if path in line]
    return found
