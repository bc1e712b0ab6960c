"""Files of a user's work tree that Git does not track."""

from __future__ import annotations

import os
from pathlib import Path

from artifacts.git.process import GitFailed, run
from contracts.base.errors import InvalidInput


def untracked_files(work_tree: Path, patterns: str) -> list[str]:
    """Paths of those that a file of patterns names, in the form of `.gitignore`; none without that file.

    patterns: its path in the work tree. Raises InvalidInput for what is no work tree.
    """
    if not (work_tree / patterns).is_file():
        return []
    words = ("ls-files", "--others", "--ignored", f"--exclude-from={patterns}", "-z")
    try:
        listed = run(words, cwd=work_tree)
    except GitFailed as error:
        raise InvalidInput(f"repository {str(work_tree)!r}: {error}") from None
    return [os.fsdecode(path) for path in listed.split(b"\0") if path]
