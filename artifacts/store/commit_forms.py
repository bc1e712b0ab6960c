"""Which form the commits of work have: that of the history which the work started from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from artifacts.git.commit_form import SUBJECTS_READ, CommitForm, form_of
from artifacts.git.lru_cache import LruCache
from artifacts.git.objects import Commit, ObjectReader
from contracts.base.errors import ArtifactError

_MOST_STEPS: Final = 4 * SUBJECTS_READ


class CommitForms:
    """Finds forms, each once. Raises ArtifactError for a parent that is missing."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._known: LruCache[tuple[CommitForm | None]] = LruCache(4_096)

    def of(self, parents: Sequence[str]) -> CommitForm | None:
        """The form of what lies behind these parents; None where that is no history of others."""
        passed: list[str] = []
        name = parents[0] if parents else None
        form: CommitForm | None = None
        while name is not None:
            if (known := self._known.get(name)) is not None:
                [form] = known
                break
            passed.append(name)
            commit = self._reader.commit(name)
            if not commit.role:
                form = form_of(list(self._subjects(commit)))
                break
            name = commit.parents[0] if commit.parents else None
        for one in passed:
            self._known.put(one, (form,))
        return form

    def _subjects(self, start: Commit) -> Iterator[str]:
        """Subjects of others along the first parents, newest first, as far as the store has them."""
        commit, found = start, 0
        for _ in range(_MOST_STEPS):
            if not commit.role:
                yield commit.message.partition("\n")[0]
                found += 1
            if found == SUBJECTS_READ or not commit.parents:
                return
            try:
                commit = self._reader.commit(commit.parents[0])
            except ArtifactError:
                # The history of a shallow clone ends here.
                return
