"""Which files of a commit say what it needs, and their contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.documents.repository_settings import OWN_FILE
from contracts.ports.environments import CommitReader
from sandbox_runner.environments.needs import node_needs, tox_needs

_NAMES: Final = frozenset(
    {
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "uv.lock",
        ".python-version",
        tox_needs.INI,
        tox_needs.TOML,
        node_needs.LOCK,
        *node_needs.OTHER_LOCKS,
        OWN_FILE,
    }
)
_TEXTS: Final = (".txt", ".in", ".pip")
_FOLDERS_DEEP: Final = 2
_MOST_FILES: Final = 2_000
_LARGEST: Final = 20_000_000


async def contents_of(files: CommitReader, commit: str) -> tuple[frozenset[str], Mapping[str, bytes]]:
    """All paths of a commit, and path -> content of those that say what it needs."""
    listed = {file.path: file.oid for file in await files.list_files(commit)}
    paths = wanted_paths(list(listed))
    contents = await files.read_files([listed[path] for path in paths])
    pairs = zip(paths, contents, strict=True)
    return frozenset(listed), {path: content for path, content in pairs if len(content) <= _LARGEST}


def wanted_paths(paths: list[str]) -> list[str]:
    """Those of a tree's files that say something about its environment."""
    near = [path for path in paths if path.count("/") <= _FOLDERS_DEEP]
    found = [path for path in near if path in _NAMES or path.endswith(_TEXTS)]
    # Packages of npm's workspaces lie in folders of their own.
    found += [path for path in paths if path.rpartition("/")[2] == node_needs.PROJECT]
    return found[:_MOST_FILES]
