"""The form of a repository's commit messages, found in its last subjects by rule, and messages in it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

SUBJECTS_READ: Final = 50
_FEWEST: Final = 3
_SUBJECT_COLUMNS: Final = 72
_CUT: Final = " ..."
_BODY_CHARACTERS: Final = 2_000
_CONVENTIONAL: Final = re.compile(
    r"(build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test)(\([^()]+\))?!?: (?P<what>\S.*)"
)
_GENERATED: Final = re.compile(r"Merge |Revert |fixup! |squash! |Bump ")
_TEST_PATH: Final = re.compile(
    r"(^|/)(tests?|specs?|__tests__)/|(^|/)(test_[^/]*|[^/]*[._-](test|spec))\.\w+$"
)
_DOCS_PATH: Final = re.compile(r"(^|/)docs?/|\.(md|rst|adoc|txt)$")
_VERBS: Final = (
    ("fix", re.compile(r"\b(fix|repair|correct|mend|resolve|prevent|avoid|handle)(e?s|ed|ing)?\b", re.I)),
    ("perf", re.compile(r"\b(optimi[sz]e|speed up|accelerate)\b", re.I)),
    ("refactor", re.compile(r"\b(refactor|rename|restructure|simplify|extract|move|clean up)\b", re.I)),
)


@dataclass(frozen=True, slots=True)
class CommitForm:
    """How a repository writes subjects."""

    conventional: bool = False
    """As Conventional Commits have them: `type: description`."""
    lower: bool = False
    """Whether descriptions begin with a small letter."""

    def subject(self, title: str, paths: Collection[str]) -> str:
        """The first line for a task's title and the files that it changed."""
        kind, what = kind_of(title, paths), title.strip().rstrip(".").strip()
        if typed := _CONVENTIONAL.fullmatch(what):
            kind, what = typed[1], typed["what"]
        first = what.split(" ", 1)[0]
        if self.lower and first[1:] == first[1:].lower():
            what = what[:1].lower() + what[1:]
        line = f"{kind}: {what}" if self.conventional else what
        short = len(line) <= _SUBJECT_COLUMNS
        return line if short else textwrap.shorten(line, _SUBJECT_COLUMNS, placeholder=_CUT)


def form_of(subjects: Sequence[str]) -> CommitForm:
    """The form that most of these have; merges and the like say nothing, and fewer than three do not."""
    own = [subject for subject in subjects[:SUBJECTS_READ] if not _GENERATED.match(subject)]
    matches = [found for subject in own if (found := _CONVENTIONAL.match(subject))]
    conventional = len(own) >= _FEWEST and 2 * len(matches) > len(own)
    said = [found["what"] for found in matches] if conventional else own
    small = [what for what in said if what[:1].islower()]
    return CommitForm(conventional, len(own) >= _FEWEST and 2 * len(small) > len(said))


def kind_of(title: str, paths: Collection[str]) -> str:
    """The type of Conventional Commits: by what was changed, else by the verb of the title, else `feat`."""
    if paths and all(_TEST_PATH.search(path) for path in paths):
        return "test"
    if paths and all(_DOCS_PATH.search(path) for path in paths):
        return "docs"
    return next((kind for kind, verb in _VERBS if verb.search(title)), "feat")


def body_of(title: str, subject: str, text: str) -> str:
    """What stands below the subject: the title where the subject cuts it, and what was said of the work."""
    parts = [title] if subject.endswith(_CUT) else []
    parts += [text[:_BODY_CHARACTERS]] if text and text.strip(".") not in title else []
    return "\n\n".join(textwrap.fill(part, _SUBJECT_COLUMNS, break_long_words=False) for part in parts)
