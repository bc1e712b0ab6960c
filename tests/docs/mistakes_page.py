"""Writes docs/mistakes.md from what happens: `python -m tests.docs.mistakes_page --write`."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.docs.mistakes import OF_OPERATORS, OF_USERS, Mistake, tried

PAGE: Final = Path(__file__).parents[2] / "docs" / "mistakes.md"
HEAD: Final = """# When something is not as it should be

What the program says of the mistakes that are made most often, and the exit code with which it ends: 1 when
something outside does not answer or the work failed, 2 when what was typed or set must be changed. Nothing is
lost by any of them. `multi-agent doctor` looks for most of it beforehand, `multi-agent why` says what
unfinished work waits for.
"""
CHAPTERS: Final = {"Using it": OF_USERS, "Operating it": OF_OPERATORS}


def entry(mistake: Mistake, said: str) -> str:
    """One mistake and its end."""
    before = "".join(f"{name}={shlex.quote(value)} " for name, value in mistake.env.items())
    typed = f"{before}{shlex.join(('multi-agent', *mistake.words))}"
    title = f"**{mistake.what[0].upper()}{mistake.what[1:]}** (exit code {mistake.code})"
    return f"{title}\n\n```text\n$ {typed}\n{said}\n```\n"


def chapter(title: str, mistakes: Iterable[Mistake]) -> str:
    """All of one kind of people."""
    entries = []
    for mistake in mistakes:
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / "project"
            folder.mkdir()
            entries.append(entry(mistake, tried(mistake, folder).said))
    return f"## {title}\n\n" + "\n".join(entries)


def page() -> str:
    """The page as it should be."""
    return "\n".join([HEAD, *(chapter(*one) for one in CHAPTERS.items())])


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), "utf-8")
    else:
        sys.exit(page() != PAGE.read_text("utf-8"))
