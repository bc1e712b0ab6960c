"""Moving refs, all of a call or none, with one `git update-ref` that stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from artifacts.git_process import answers_at_once, run
from artifacts.lasting_git import LastingGit
from artifacts.write_guard import WriteGuard

_WORDS = ("update-ref", "--stdin")
_MOST_REFS = 20_000


class RefWriter:
    """Safe to use from several threads. Raises GitFailed, StoreUnavailable."""

    def __init__(self, git_dir: Path, guard: WriteGuard) -> None:
        self._git_dir, self._guard = git_dir, guard
        self._git = LastingGit(git_dir, _WORDS, guard=guard, most=_MOST_REFS)

    def change(self, lines: Sequence[str]) -> None:
        """One transaction of `update` and `delete` lines; see `git help update-ref`."""
        if not lines:
            return
        text = "".join(f"{line}\n" for line in ("start", *lines, "commit")).encode()
        if answers_at_once():
            # Without an order to commit, the end of the input undoes what was begun.
            self._git.ask(text, 2, len(lines))
        else:
            with self._guard.writing() as held:
                run(_WORDS, git_dir=self._git_dir, stdin=text, inherit=(held,))

    def close(self) -> None:
        """End the process; the next change starts another."""
        self._git.close()
