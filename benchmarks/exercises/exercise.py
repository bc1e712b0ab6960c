"""An exercise: a request about one file, and tests of it that nobody is shown who works on it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.fixes.judging import git

_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Exercise:
    """What its file says, one of this folder."""

    name: str
    request: str
    stub: str
    """What the file says before the work."""
    solution: str
    """One that the tests accept."""
    tests: str

    @property
    def path(self) -> str:
        """The file that the request is about."""
        return f"{self.name}.py"

    def lay(self, target: Path, content: str, *, tests: bool = False) -> None:
        """Make a repository with this content in its one file, and with the tests if wanted."""
        target.mkdir(parents=True)
        (target / self.path).write_text(content, "utf-8")
        if tests:
            (target / "test_hidden.py").write_text(self.tests, "utf-8")
        git("init", "-q", "-b", "main", at=target)
        git("add", "--all", at=target)
        git("commit", "-q", "-m", "Begin", at=target)


def exercises() -> list[Exercise]:
    """All of them, by name."""
    found = []
    for path in sorted(_FOLDER.glob("*.toml")):
        texts = {key: text.lstrip("\n") for key, text in tomllib.loads(path.read_text("utf-8")).items()}
        found.append(Exercise(path.stem, **texts))
    return found
