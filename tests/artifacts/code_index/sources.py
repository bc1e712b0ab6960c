"""Entries as the index makes them, from texts."""

from __future__ import annotations

from collections.abc import Mapping

from artifacts.code_index.entry import Entry
from artifacts.code_index.index import make_map, read_entries
from artifacts.code_index.kinds import Kind, kind_of


def entries(files: Mapping[str, str]) -> dict[str, Entry]:
    """The entries of a tree; of files that are no code as of files that are known by their names."""
    made = read_entries([(path, text.encode()) for path, text in files.items()])
    return {
        path: Entry() if kind_of(path) is Kind.OTHER else entry
        for path, entry in zip(files, made, strict=True)
    }


def order(files: Mapping[str, str], request: str) -> list[str]:
    """The paths of a tree, ranked for a request."""
    return list(make_map(entries(files), request, 1_000).paths)
