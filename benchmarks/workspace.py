"""How long a workspace of a large repository takes, and what it costs the process that opens it.

    python -m benchmarks.workspace --files 30000 --megabytes 1000 --backend bubblewrap

It makes a repository of random bytes in a temporary folder, which needs five times its size on disk. The
first open is cold: it copies the tree and its history out of the store. Every further one is warm.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from artifacts import create_store
from artifacts.store.importing import import_base
from artifacts.store.repository import Repository
from artifacts.trees.git_trees import GitTrees
from contracts.base.printing import print_line
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import Workspace
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.payload import UNPRIVILEGED
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.workspace.opening import SandboxWorkspaces

_PER_FOLDER = 100
_CHANGED = 20


@dataclass
class Figures:
    """Seconds by what was done."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Take the time of a block."""
        started = time.perf_counter()
        yield
        self.seconds.setdefault(what, []).append(time.perf_counter() - started)

    def show(self) -> None:
        """One line a step."""
        for what, taken in self.seconds.items():
            middle, most = median(taken), max(taken)
            print_line(f"{what:30} {middle:8.3f} s median, {most:8.3f} s most, {len(taken)} times")


def make_repository(folder: Path, files: int, megabytes: int) -> None:
    """Make a repository of so many files of random bytes, with one commit."""
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=folder, check=True)
    size = megabytes * 1_000_000 // files
    chance = random.Random(1)
    words = ["git", "-c", "core.compression=0", "-c", "pack.compression=0", "fast-import", "--quiet"]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        who = b"committer b <b@example.invalid> 1700000000 +0000\n"
        process.stdin.write(b"commit refs/heads/main\n" + who + b"data 4\nmade\n")
        for number in range(files):
            path = b"f%03d/file%05d.bin" % (number // _PER_FOLDER, number)
            process.stdin.write(b"M 100644 inline %s\ndata %d\n" % (path, size))
            process.stdin.write(chance.randbytes(size) + b"\n")
    assert process.returncode == 0


def memory_mb(name: str = "VmRSS") -> float:
    """Memory of this process now, or at its most with VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1_024
    raise AssertionError(name)


async def measure(workspaces: SandboxWorkspaces, base: TreeBase, rounds: int, figures: Figures) -> str:
    """Open cold once and warm several times, each with some work; return how the tree was placed."""
    placement = ""
    for number in range(rounds + 1):
        kind = "warm" if number else "cold"
        with figures.timed(f"open, {kind}"):
            workspace = await workspaces.open(base)
        placement = workspace.placement
        try:
            await _work(workspace, figures)
        finally:
            with figures.timed("close"):
                await workspace.close()
    return placement


async def _work(workspace: Workspace, figures: Figures) -> None:
    with figures.timed("first command (true)"):
        await workspace.exec(1, ("true",))
    with figures.timed("git status"):
        await workspace.exec(2, ("git", "status", "--short"))
    with figures.timed("diff, nothing changed"):
        assert (await workspace.diff()).files == {}
    with figures.timed(f"write {_CHANGED} files"):
        for number in range(_CHANGED):
            await workspace.write(f"f{number:03}/new.txt", b"new\n")
    with figures.timed(f"diff, {_CHANGED} files changed"):
        assert len((await workspace.diff()).files) == _CHANGED
    with figures.timed("snapshot"):
        await workspace.snapshot()
    with figures.timed("glob **/*.txt"):
        assert len(await workspace.glob("**/*.txt")) == _CHANGED


async def open_all(store: Repository, base: TreeBase, folder: Path, options: argparse.Namespace) -> None:
    """Measure and print."""
    figures = Figures()
    trees = GitTrees(store, folder / "cache", owner=None if os.geteuid() else UNPRIVILEGED)
    settings = SandboxSettings(backend=options.backend, toolbox=folder / "toolbox")
    sandbox = (await open_untested(options.backend, settings)).sandbox
    workspaces = SandboxWorkspaces(sandbox, trees, overlay=not options.copy)
    before = memory_mb()
    placement = await measure(workspaces, base, options.rounds, figures)
    await sandbox.close()
    more = memory_mb("VmHWM") - before
    print_line(f"{options.backend}, {placement}: {options.files} files, {options.megabytes} MB")
    figures.show()
    print_line(f"memory of this process: {before:.0f} MB before, {more:.0f} MB more at most")


def main(options: argparse.Namespace) -> None:
    """Make a repository and a store, and measure there."""
    with tempfile.TemporaryDirectory(prefix="ma-workspace-", dir=options.folder) as name:
        folder = Path(name)
        # Sandboxes enter it as another user.
        folder.chmod(0o755)
        make_repository(folder / "source", options.files, options.megabytes)
        store = Repository(create_store(folder / "store.git"))
        base = TreeBase(import_base(store, folder / "source"))
        asyncio.run(open_all(store, base, folder, options))
        store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=30_000)
    parser.add_argument("--megabytes", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5, help="how often it is opened warm")
    parser.add_argument("--backend", choices=("bubblewrap", "namespaces"), default="bubblewrap")
    parser.add_argument("--copy", action="store_true", help="without an overlay")
    parser.add_argument("--folder", help="where the repository is made")
    main(parser.parse_args())
