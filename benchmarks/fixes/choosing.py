"""Chooses fixes: small commits that say so, with tests that fail without them and pass with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from artifacts.code_index.kinds import Kind, kind_of
from artifacts.git.process import run

MOST_SOURCES: Final = 3
LOOKED_AT: Final = 400

_SAYS_SO: Final = re.compile(r"\b(fix(es|ed)?|bug)\b", re.IGNORECASE)
_PATHS: Final = re.compile(r"\S*[/\\]\S*|\b[\w.-]+\.(?:py|md|rst|toml|txt|ya?ml)\b")
_TRAILERS: Final = re.compile(r"^(?:[A-Z][\w-]+-by|Closes|Fixes|Refs?): .*$", re.MULTILINE)
_LOG: Final = ("log", "--no-merges", "--no-renames", "--name-status", "--format=%x01%H%x00%P%x00%B%x02")


@dataclass(frozen=True, slots=True)
class Fix:
    """A commit that mends something, and what may be said of it beforehand."""

    repository: str
    commit: str
    parent: str
    request: str
    """Its message, without paths and trailers."""
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    """Files of tests that it changes or adds."""


def candidates(repository: str, git_dir: Path, looked_at: int = LOOKED_AT) -> Iterator[Fix]:
    """Yield the commits that may serve, the newest first, of the newest so many. Raises GitFailed.

    One serves when the first line of its message has the word fix or bug, and it changes 1 to MOST_SOURCES
    files of Python that were there before, adds no other, and changes or adds a file of tests.
    """
    said = run([*_LOG, f"-{looked_at}"], git_dir=git_dir).decode("utf-8", "replace")
    for text in said.split("\1")[1:]:
        head, _, rows = text.partition("\2")
        commit, parents, message = head.split("\0")
        changes = [(row[0], row.partition("\t")[2]) for row in rows.split("\n") if "\t" in row]
        if _SAYS_SO.search(message.split("\n", 1)[0]) and (found := _changed(changes)):
            sources, tests = found
            yield Fix(repository, commit, parents.split()[0], _request(message), sources, tests)


def _changed(changes: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    code = [(status, path) for status, path in changes if path.endswith(".py")]
    sources = [(status, path) for status, path in code if kind_of(path) is not Kind.TEST]
    tests = [path for status, path in code if kind_of(path) is Kind.TEST and status != "D"]
    if not tests or not 1 <= len(sources) <= MOST_SOURCES or any(status != "M" for status, _ in sources):
        return None
    return tuple(path for _, path in sources), tuple(tests)


def _request(message: str) -> str:
    return _PATHS.sub(" ", _TRAILERS.sub("", message)).strip()
