"""`python -m benchmarks.repository_map FOLDER...`: how often the map of a repository names the right files.

The newest CASES commits of each repository that change 1 to 3 source files and a test, merges left out, are
asked for: the query is the message without paths, the tree is that before the commit, and what should be
found are the source files that the commit changes and that were there before. Beside the map stands Okapi
BM25 over contents, with the same words: among all files of code, and among those that are no tests.

The repositories were chosen before the first measurement, and none was exchanged after it. The map was tuned
with others (sphinx-doc/sphinx, gohugoio/hugo, mockito/mockito, clap-rs/clap, prettier/prettier,
Aider-AI/aider).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from artifacts.code_index.cache import EntryCache
from artifacts.code_index.entry import Entry
from artifacts.code_index.index import Index, make_map
from artifacts.code_index.kinds import Kind, kind_of
from artifacts.code_index.query import Query
from artifacts.code_index.ranking import bm25
from artifacts.git.process import run
from artifacts.store.listing import open_trees

REPOSITORIES: Final = (
    "pytest-dev/pytest",
    "scrapy/scrapy",
    "eslint/eslint",
    "vuejs/core",
    "cli/cli",
    "tokio-rs/tokio",
    "apache/commons-lang",
    "libgit2/libgit2",
)
CASES: Final = 10
FIRST: Final = 10
GOAL: Final = 0.70
ABOVE: Final = 0.10

_LOOKED_AT: Final = 4_000
_MOST_SOURCES: Final = 3
_CACHE_BYTES: Final = 4_000_000_000
_PATHS: Final = re.compile(
    r"\S*[/\\]\S*|\b[\w.-]+\.(?:[ch]|cc|cpp|hpp|[cm]?[jt]sx?|go|java|json|md|py|rs|rst|toml|txt|ya?ml)\b"
)
_LOG: Final = ("log", "--no-merges", "--no-renames", "--name-status", "--format=%x01%P%x00%B%x02")


@dataclass(frozen=True, slots=True)
class Case:
    """A commit, and what it should be found by."""

    parent: str
    query: str
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the changed files among the first FIRST, mean of cases."""

    by_map: float
    by_contents: float
    """BM25 among all files of code."""
    by_sources: float
    """BM25 among those that are no tests."""


def cases(git_dir: Path) -> Iterator[Case]:
    """Yield the newest CASES commits of a repository that serve."""
    said = run([*_LOG, f"-{_LOOKED_AT}"], git_dir=git_dir).decode("utf-8", "replace")
    found = 0
    for text in said.split("\1")[1:]:
        head, _, rows = text.partition("\2")
        parents, _, message = head.partition("\0")
        if (case := _case(parents.split(), message, rows.split("\n"))) is not None:
            yield case
            found += 1
        if found == CASES:
            return


def _case(parents: Sequence[str], message: str, rows: Sequence[str]) -> Case | None:
    changes = [(row[0], row.partition("\t")[2]) for row in rows if "\t" in row]
    kinds = {path: kind_of(path) for _, path in changes}
    sources = [path for path, kind in kinds.items() if kind in (Kind.CODE, Kind.ASIDE)]
    before = frozenset(path for status, path in changes if status != "A" and path in sources)
    if len(parents) != 1 or not before or len(sources) > _MOST_SOURCES or Kind.TEST not in kinds.values():
        return None
    return Case(parents[0], _PATHS.sub(" ", message), before)


async def measure(source: Path, cache: Path) -> tuple[Recall, int]:
    """Measure one repository. Returns the recall, and how many cases there were."""
    trees, _ = open_trees(source)
    index = Index(trees, EntryCache(cache, _CACHE_BYTES))
    git_dir = Path(run(["rev-parse", "--absolute-git-dir"], cwd=source).decode().strip())
    shares: list[tuple[float, float, float]] = []
    try:
        for case in cases(git_dir):
            entries, _ = await index.contents(case.parent)
            code = [path for path in sorted(entries) if kind_of(path) is not Kind.OTHER]
            sources = [path for path in code if kind_of(path) is not Kind.TEST]
            orders = (
                make_map(entries, case.query, 1_000).paths,
                _by_contents(entries, code, case.query),
                _by_contents(entries, sources, case.query),
            )
            first, second, third = (_share(order, case.changed) for order in orders)
            shares.append((first, second, third))
    finally:
        await trees.close()
    return Recall(*(sum(column) / len(shares) for column in zip(*shares, strict=True))), len(shares)


def _by_contents(entries: dict[str, Entry], paths: Sequence[str], query: str) -> list[str]:
    wanted = dict.fromkeys(Query.of(query).words, 1.0)
    files = [entries[path] for path in paths]
    scores = bm25([file.words for file in files], [file.length for file in files], wanted)
    return [path for _, path in sorted((-score, path) for score, path in zip(scores, paths, strict=True))]


def _share(order: Sequence[str], changed: frozenset[str]) -> float:
    return len(changed & set(order[:FIRST])) / len(changed)


@click.command()
@click.argument(
    "sources", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
def main(sources: tuple[Path, ...]) -> None:
    """Measure clones of REPOSITORIES, or others. Fails when a goal is missed."""
    recalls = []
    click.echo(f"recall at {FIRST}: map, BM25 over all code, BM25 over sources; cases")
    with TemporaryDirectory() as cache:
        for source in sources:
            recall, many = asyncio.run(measure(source, Path(cache)))
            recalls.append(recall)
            click.echo(f"{_shown(recall)}  {many:3}  {source}")
    count = len(recalls)
    mean = Recall(
        sum(one.by_map for one in recalls) / count,
        sum(one.by_contents for one in recalls) / count,
        sum(one.by_sources for one in recalls) / count,
    )
    click.echo(f"{_shown(mean)}       all")
    if mean.by_map < GOAL or mean.by_map < mean.by_contents + ABOVE:
        raise SystemExit(1)


def _shown(recall: Recall) -> str:
    return f"{recall.by_map:6.1%} {recall.by_contents:6.1%} {recall.by_sources:6.1%}"


if __name__ == "__main__":
    main()
