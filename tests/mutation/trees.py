"""Copies of the source in which mutants are tried, each with a Python that has the copy installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from tests.mutation.mutant import Mutant

_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Tree:
    """root: the copy; python: runs it; scratch: where its tests put temporary files."""

    root: Path
    python: Path
    scratch: Path

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """The copy with the change."""
        path = self.root / mutant.file
        original = path.read_bytes()
        self._write(path, mutant.applied(original))
        try:
            yield
        finally:
            self._write(path, original)

    def _write(self, path: Path, text: bytes) -> None:
        """With the compiled file gone: it is trusted by size and second, which may both be the same."""
        path.write_bytes(text)
        Path(cache_from_source(str(path))).unlink(missing_ok=True)


@contextmanager
def copied(root: Path) -> Iterator[Tree]:
    """A copy of all files that Git knows or would take, in memory where there is such a place."""
    memory = str(_MEMORY) if os.access(_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="mutants-", dir=memory))
    scratch = Path(tempfile.mkdtemp(prefix="mutants-"))
    try:
        for name in _files(root):
            place = folder / "tree" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, place)
        yield Tree(folder / "tree", _python(folder), scratch)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _files(root: Path) -> list[str]:
    argv = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in listed if name and (root / name).is_file()]


def _python(folder: Path) -> Path:
    """A virtual environment: also a process with an environment of its own imports the copy."""
    place = folder / "python"
    venv.create(place, symlinks=True)
    [packages] = place.glob("lib/python*/site-packages")
    ours = sysconfig.get_path("purelib")
    lines = [str(folder / "tree"), f"import site; site.addsitedir({ours!r})"]
    (packages / "mutants.pth").write_text("\n".join(lines) + "\n", "utf-8")
    return place / "bin" / "python"
