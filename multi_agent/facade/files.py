"""Files that a caller names: by content, or by where they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from contracts.base.errors import InvalidInput

NamedFiles = Mapping[str, str | bytes] | Iterable[str | Path] | str | Path
"""path -> content; or paths of files; or one path, of a file or of a folder whose files are meant."""


def read_files(named: NamedFiles) -> dict[str, bytes]:
    """path -> content, text as UTF-8. Raises InvalidInput for what is no file or cannot be read.

    A file below the current folder keeps its path from there; others are named from the deepest folder that
    holds them all. The files of a folder are named from that folder.
    """
    if isinstance(named, Mapping):
        return {path: _content(path, content) for path, content in named.items()}
    if isinstance(named, str | Path):
        one = Path(named)
        if one.is_dir():
            found = sorted(path for path in one.rglob("*") if path.is_file())
            return {path.relative_to(one).as_posix(): _read(path) for path in found}
        named = [one]
    return _read_all([Path(path) for path in named])


def _content(path: object, content: object) -> bytes:
    if not isinstance(path, str):
        raise InvalidInput(f"file name {path!r} is a {type(path).__name__}; give a relative path as text")
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes):
        return content
    raise InvalidInput(f"file {path!r} holds a {type(content).__name__}; give text or bytes")


def _read_all(paths: list[Path]) -> dict[str, bytes]:
    here = Path.cwd()
    placed = [Path(os.path.abspath(path)) for path in paths]
    outside = [path.parent for path in placed if not path.is_relative_to(here)]
    common = Path(os.path.commonpath(outside)) if outside else here
    files: dict[str, bytes] = {}
    for path in placed:
        base = here if path.is_relative_to(here) else common
        name = path.relative_to(base).as_posix()
        if name in files:
            raise InvalidInput(f"two files would be called {name!r}; name them yourself: path -> content")
        files[name] = _read(path)
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"file {path}: {error.strerror}; name files that exist, or path -> content"
        ) from None
