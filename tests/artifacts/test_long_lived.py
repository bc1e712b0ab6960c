"""Processes that stay: none is started for a write, and none is missed when it dies."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio

from artifacts import GitArtifactStore, create_store
from artifacts.git.fast_import import Draft
from artifacts.git.write_guard import WriteGuard
from artifacts.store.batching import Batcher
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError
from contracts.ports.artifacts import RefMove
from tests.artifacts.builders import NOW, git, outcome

MISSING = "0123456789" * 4

_programs: list[list[str]] = []


def _note(event: str, args: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and isinstance(args[1], list):
        _programs.append(args[1])


sys.addaudithook(_note)


class _Counting(Repository):
    """Knows how many commits each import had."""

    def __init__(self, git_dir: Path) -> None:
        super().__init__(git_dir, lock_grace_seconds=0.05)
        self.imports: list[int] = []

    def commit(self, drafts: Sequence[Draft]) -> list[str]:
        self.imports.append(len(drafts))
        return super().commit(drafts)


@pytest.fixture
def repository(bare: Path) -> Iterator[_Counting]:
    made = _Counting(bare)
    yield made
    made.close()


@pytest_asyncio.fixture
async def quick(repository: _Counting) -> AsyncIterator[GitArtifactStore]:
    """A store that ends idle processes almost at once."""
    made = GitArtifactStore(repository, idle_seconds=0.05)
    yield made
    await made.close()


def _write(repository: Repository, *tasks: str) -> list[str]:
    return repository.commit([repository.draft(outcome(task)) for task in tasks])


def _long_lived(*words: str) -> list[int]:
    """Children of this process that run one of these git commands."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == os.getpid() and any(word.encode() in command for word in words):
            found.append(int(entry.name))
    return found


def _work(repository: Repository, name: str) -> None:
    base, left, right = _write(repository, f"{name}0", f"{name}1", f"{name}2")
    merged = repository.merge([left, right], name, NOW)
    repository.publish([RefMove("w1", f"{name}0", base), RefMove("w1", "result", merged)])
    assert repository.read_tree(merged, 10_000)


def test_no_process_is_started_for_a_write_a_merge_or_a_publication(repository: Repository) -> None:
    _work(repository, "a")
    git(repository.git_dir, "pack-refs", "--all")
    known = len(_programs)
    for name in "bcd":
        _work(repository, name)
    assert [words for words in _programs[known:] if "--git-dir" in " ".join(words)] == []
    kept = git(repository.git_dir, "for-each-ref", "--format=%(refname)", "refs/superseded").splitlines()
    assert len(kept) == 3


def test_a_tree_that_was_read_is_at_hand(repository: Repository) -> None:
    [sha] = _write(repository, "t1")
    first = repository.read_tree(sha, 10_000)
    repository.objects.close()
    known = len(_programs)
    assert repository.read_tree(sha, 10_000) == first
    assert len(_programs) == known
    with pytest.raises(ArtifactError, match="larger"):
        repository.read_tree(sha, 3)


def test_thousands_of_refs(repository: Repository) -> None:
    """Loose and packed ones, and those that move among them."""
    [old] = _write(repository, "t0")
    names = [f"refs/heads/ai/generated/w{n % 50}/t{n}" for n in range(5_000)]
    lines = "".join(f"create {name} {old}\n" for name in names)
    git(repository.git_dir, "-c", "core.fsync=none", "update-ref", "--stdin", stdin=lines.encode())
    moves = [RefMove(f"w{n % 50}", f"t{n}", sha) for n, sha in enumerate(_write(repository, "a", "b"))]
    repository.publish(moves)
    git(repository.git_dir, "pack-refs", "--all")
    repository.publish([RefMove(move.workflow_id, move.task_id, old) for move in moves])
    repository.publish(moves)
    assert git(repository.git_dir, "rev-parse", *names[:2]).split() == [move.commit for move in moves]
    assert git(repository.git_dir, "for-each-ref", "refs/superseded").count("\n") + 1 == 8


def _kill_once(name: str, after: float) -> bool:
    """Kill -9 the process of this git command in `after` seconds; whether there was one."""
    time.sleep(after)
    for pid in _long_lived(name):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def test_kill_9_of_update_ref_at_any_moment(repository: Repository) -> None:
    killed = 0
    for turn in range(10):
        tasks = [f"t{turn}-{i}" for i in range(40)]
        with ThreadPoolExecutor(1) as pool:
            killer = pool.submit(_kill_once, "update-ref", turn * 0.01)
            shas = _write(repository, *tasks)
            repository.publish([RefMove("w1", task, sha) for task, sha in zip(tasks, shas, strict=True)])
        killed += killer.result()
        names = [f"ai/generated/w1/{task}" for task in tasks]
        assert git(repository.git_dir, "rev-parse", *names).split() == shas
    assert killed > 2
    assert not list(repository.git_dir.rglob("*.lock"))


_WRITER = """
import itertools, sys
from pathlib import Path
from artifacts.store.repository import Repository
from contracts.ports.artifacts import RefMove
from tests.artifacts.builders import outcome

repository = Repository(Path(sys.argv[1]))
for turn in itertools.count():
    tasks = [f"t{turn}-{i}" for i in range(20)]
    shas = repository.commit([repository.draft(outcome(task, {"f": task.encode() * 4000})) for task in tasks])
    repository.publish([RefMove("w1", task, sha) for task, sha in zip(tasks, shas)])
    print(*shas, flush=True)
"""


@pytest.mark.parametrize("later", [0.0, 0.01, 0.03, 0.08])
def test_processes_end_with_their_starter(bare: Path, later: float) -> None:
    """Whatever they were doing; nothing that was answered is lost, and others go on."""
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(bare)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert writer.stdout is not None
    told = writer.stdout.readline().split()
    threading.Event().wait(later)
    writer.kill()
    writer.wait()
    _wait_until(lambda: not _at_work(bare))
    told += writer.stdout.read().split()
    writer.stdout.close()
    after = Repository(bare, lock_grace_seconds=0.05)
    assert all(after.read_tree(sha, 200_000) for sha in told if len(sha) == 40)
    _work(after, "after")
    after.close()
    assert not list(bare.rglob("*.lock"))
    assert git(bare, "for-each-ref", "refs/multi-agent/import") == ""


def _wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _at_work(bare: Path) -> bool:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--git-dir={bare}".encode() in words:
            return True
    return False


_STARTER = """
import subprocess, sys, time
from pathlib import Path
from artifacts.git.write_guard import WriteGuard

guard = WriteGuard(Path(sys.argv[1]), 0.05)
fd = guard.open()
child = subprocess.Popen(["sleep", "60"], pass_fds=(fd,), stdout=subprocess.DEVNULL)
if sys.argv[2] == "writes":
    with guard.holding(fd):
        print(child.pid, flush=True)
        time.sleep(60)
with guard.holding(fd):
    pass
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("doing", ["writes", "rests"])
def test_a_lock_is_stale_once_nobody_writes(bare: Path, doing: str) -> None:
    """A process whose starter died in the middle of a write may still hold it; one that rests holds none."""
    lock = bare / "packed-refs.lock"
    lock.touch()
    args = [sys.executable, "-c", _STARTER, str(bare), doing]
    starter = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    child = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    starter.stdout.close()
    guard = WriteGuard(bare, 0.0)
    remover = threading.Thread(target=guard.clear)
    remover.start()
    if doing == "writes":
        remover.join(0.3)
        assert lock.exists()
        os.kill(child, signal.SIGKILL)
    remover.join()
    assert not lock.exists()
    if doing == "rests":
        os.kill(child, signal.SIGKILL)


def test_what_killed_imports_left_goes_away_later(repository: Repository) -> None:
    """And what is fresh, or somebody else's, stays."""
    packs = repository.git_dir / "objects" / "pack"
    old = [repository.git_dir / "fast_import_crash_1", packs / "tmp_pack_abc", packs / "pack-1.keep"]
    others = [packs / "pack-2.keep", repository.git_dir / "fast_import_crash_2"]
    for path in [*old, *others]:
        path.write_bytes(b"mine" if path.name == "pack-2.keep" else b"fast-import")
    for path in [*old, others[0]]:
        os.utime(path, (0, 0))
    _write(repository, "t1")
    assert not [path for path in old if path.exists()]
    assert all(path.exists() for path in others)
    for path in others:
        path.unlink()


async def test_idle_processes_end(quick: GitArtifactStore) -> None:
    words = ("fast-import", "update-ref")
    others = set(_long_lived(*words))  # of stores that this process keeps for all its tests
    for task in ("t1", "t2"):
        [sha] = await quick.write([outcome(task)])
        await quick.publish([RefMove("w1", task, sha)])
        await asyncio.to_thread(_wait_until, lambda: others.issuperset(_long_lived(*words)))


async def test_concurrent_publications_share_a_transaction(quick: GitArtifactStore, bare: Path) -> None:
    shas = await quick.write([outcome(f"t{i}") for i in range(20)])
    moves = [RefMove("w1", f"t{i}", sha) for i, sha in enumerate([*shas, MISSING])]
    *done, refused = await asyncio.gather(*(quick.publish([move]) for move in moves), return_exceptions=True)
    assert done == [None] * 20
    assert isinstance(refused, ArtifactError)
    names = [f"ai/generated/w1/t{i}" for i in range(20)]
    assert git(bare, "rev-parse", *names).split() == shas


async def test_concurrent_merges_share_an_import(quick: GitArtifactStore, repository: _Counting) -> None:
    shas = await quick.write([outcome(f"t{i}") for i in range(41)])
    repository.imports.clear()
    pairs = list(itertools.pairwise(shas))
    merged = await asyncio.gather(*(quick.merge(pair, subject="m", created_at=NOW) for pair in pairs))
    assert sum(repository.imports) == 40
    assert len([size for size in repository.imports if size]) < 20
    assert list(merged) == [repository.merge(pair, "m", NOW) for pair in pairs]


async def test_what_comes_together_is_done_together() -> None:
    calls: list[list[int]] = []
    go_on = threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        go_on.wait(10)
        if 13 in items:
            raise ArtifactError("13")
        return [item * 2 for item in items]

    group: Batcher[int, int] = Batcher(work)
    first = asyncio.create_task(group.do([0]))
    await asyncio.sleep(0)
    rest = [asyncio.create_task(group.do([n, -n])) for n in (1, 2, 13)]
    await asyncio.sleep(0)
    go_on.set()
    assert await first == [0]
    *good, bad = await asyncio.gather(*rest, return_exceptions=True)
    assert good == [[2, -2], [4, -4]]
    assert isinstance(bad, ArtifactError)
    assert calls == [[0], [1, -1, 2, -2, 13, -13], [1, -1], [2, -2], [13, -13]]


def test_a_fresh_store_by_another_process_is_read(tmp_path: Path) -> None:
    """Packs that another process wrote are found by processes that were started before."""
    one, two = (Repository(create_store(tmp_path / "s.git")) for _ in range(2))
    base = _write(one, "t0")[0]
    _write(two, "u0")
    many = _write(two, *(f"u{n}" for n in range(1, 60)))
    [child] = one.commit([one.draft(outcome("child", parents=(many[-1], base)))])
    two.publish([RefMove("w1", "child", child)])
    assert "child.py" in two.read_tree(child, 10_000)
    for repository in (one, two):
        repository.close()
