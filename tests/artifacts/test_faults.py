"""Killed processes, locks left behind, damaged objects, many writers (F35)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from artifacts import create_store, open_store
from artifacts.git.process import environment
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError, InvalidInput, StoreUnavailable
from contracts.ports.artifacts import RefMove
from tests.artifacts.builders import fsck, git, outcome
from tests.support.small_disk import fill, small_disk

GRACE = 0.05


@pytest.fixture
def repository(bare: Path) -> Iterator[Repository]:
    made = Repository(bare, lock_grace_seconds=GRACE)
    yield made
    made.close()


def _write(repository: Repository, *tasks: str) -> list[str]:
    return repository.commit([repository.draft(outcome(task)) for task in tasks])


def _children(name: str) -> list[int]:
    """Processes of this one whose command line holds `name`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == os.getpid() and name.encode() in words:
            found.append(int(entry.name))
    return found


def _kill_first_import(after: float, stop: threading.Event) -> bool:
    """Kill -9 the first fast-import that shows up, `after` seconds into its life; whether it still lived."""
    while not stop.is_set():
        for pid in _children("fast-import"):
            stop.wait(after)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return False
            return True
    return False


def test_kill_9_of_fast_import_at_any_moment(repository: Repository) -> None:
    """The write goes on by itself, and again gives the same commits."""
    killed = 0
    with ThreadPoolExecutor(1) as pool:
        for turn in range(12):
            tasks = [f"t{turn}-{i}" for i in range(60)]
            drafts = [repository.draft(outcome(task, {"big": task.encode() * 4_000})) for task in tasks]
            stop = threading.Event()
            killer = pool.submit(_kill_first_import, turn * 0.002, stop)
            shas = repository.commit(drafts)
            stop.set()
            killed += killer.result()
            assert repository.commit(drafts) == shas
    assert killed > 2
    assert git(repository.git_dir, "for-each-ref", "refs/pending").count("\n") + 1 == 12 * 60
    assert not list(repository.git_dir.glob("fast_import_crash_*"))


def test_locks_left_behind_are_removed(repository: Repository) -> None:
    [sha] = _write(repository, "t1")
    for name in ("refs/pending/w1/t2/1/e1.lock", "refs/heads/ai/generated/w1/t1.lock", "packed-refs.lock"):
        path = repository.git_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    _write(repository, "t2")
    repository.publish([RefMove("w1", "t1", sha)])
    repository.prune_pending(0)
    assert git(repository.git_dir, "rev-parse", "ai/generated/w1/t1") == sha
    assert not list(repository.git_dir.rglob("*.lock"))


def test_a_lock_whose_writer_lives_is_left_alone(repository: Repository) -> None:
    lock = repository.git_dir / "refs/heads/x.lock"
    lock.touch()
    with repository.guard.writing() as held:
        writer = subprocess.Popen(["sleep", "60"], pass_fds=(held,))
    try:
        repository.guard.clear()
        thread = threading.Timer(2 * GRACE, repository.guard.clear)
        thread.start()
        time.sleep(4 * GRACE)
        assert lock.exists()
    finally:
        writer.kill()
        writer.wait()
    thread.join()
    assert not lock.exists()


def test_a_lock_of_a_foreign_git_is_left_alone(repository: Repository) -> None:
    lock = repository.git_dir / "packed-refs.lock"
    lock.touch()
    args = ["git", f"--git-dir={repository.git_dir}", "hash-object", "--stdin"]
    foreign = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment())
    try:
        while b"hash-object" not in Path(f"/proc/{foreign.pid}/cmdline").read_bytes():
            pass
        repository.guard.clear()
        time.sleep(2 * GRACE)
        repository.guard.clear()
        assert lock.exists()
    finally:
        foreign.communicate()
    repository.guard.clear()
    assert not lock.exists()


def test_a_fresh_lock_is_left_alone(bare: Path) -> None:
    repository = Repository(bare, lock_grace_seconds=3_600)
    lock = bare / "packed-refs.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    assert repository.guard.clear()
    assert repository.guard.clear()
    assert lock.exists()
    lock.unlink()
    repository.close()


_WRITER = """
import sys
from pathlib import Path
from artifacts.git.creation import create_store
from artifacts.store.repository import Repository
from contracts.ports.artifacts import RefMove
from tests.artifacts.builders import outcome

repository = Repository(create_store(Path(sys.argv[1])))
mine = sys.argv[2]
for round in range(6):
    tasks = [f"shared{round}-{i}" for i in range(5)] + [f"own{mine}-{round}"]
    shas = repository.commit([repository.draft(outcome(task, execution_id="e" + mine)) for task in tasks])
    repository.publish([RefMove("w1", task, sha) for task, sha in zip(tasks, shas)])
repository.close()
"""


def test_four_processes_create_and_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store.git"
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(i)], stderr=subprocess.PIPE)
        for i in range(4)
    ]
    told = [writer.communicate(timeout=60)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4, told
    assert git(path, "for-each-ref", "refs/heads").count("\n") + 1 == 6 * 5 + 6 * 4
    assert git(path, "for-each-ref", "refs/pending").count("\n") + 1 == 4 * 6 * 6
    assert fsck(path) == []
    assert [entry.name for entry in path.parent.iterdir()] == ["store.git"]


@pytest.mark.parametrize("words", [["gc", "--quiet", "--prune=now"], ["repack", "-q", "-a"]])
def test_housekeeping_at_the_same_time(repository: Repository, words: list[str]) -> None:
    """Objects whose ref is still to come are kept, whatever an operator asks Git to do."""
    written = [_write(repository, "t0")[0]]
    for turn in range(5):
        keeping = subprocess.Popen(["git", *words], cwd=repository.git_dir)
        while keeping.poll() is None:
            written.append(_write(repository, f"t{turn}-{len(written)}")[0])
        assert keeping.returncode == 0
    repository.publish([RefMove("w1", f"t{i}", sha) for i, sha in enumerate(written)])
    assert len(written) > 5
    assert all(repository.read_tree(sha, 10_000) for sha in written)


@pytest.mark.parametrize("words", [["prune", "--expire=now"], ["repack", "-a", "-d"]])
def test_git_refuses_to_delete_objects(repository: Repository, words: list[str]) -> None:
    [sha] = _write(repository, "t1")
    git(repository.git_dir, "update-ref", "-d", "refs/pending/w1/t1/1/e1")
    where = repository.git_dir
    done = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "precious-objects" in done.stderr
    assert "t1.py" in repository.read_tree(sha, 10_000)


def test_a_damaged_object_is_told_and_a_retry_heals_it(tmp_path: Path) -> None:
    path = create_store(tmp_path / "store.git")
    repository = Repository(path)
    [sha] = _write(repository, "t1")
    damaged = path / "objects" / sha[:2] / sha[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:20])
    repository.close()

    fresh = Repository(path)
    with pytest.raises(ArtifactError, match=f"{sha}.*fsck"):
        fresh.read_tree(sha, 10_000)
    assert _write(fresh, "t1") == [sha]
    assert "t1.py" in fresh.read_tree(sha, 10_000)
    fresh.close()


def test_a_reader_that_somebody_kills_is_asked_again(repository: Repository) -> None:
    shas = [_write(repository, f"t{number}")[0] for number in range(5)]
    for sha in shas:
        for pid in _children("cat-file"):
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(0.05, os.kill, (pid, signal.SIGKILL)).start()
        assert repository.read_tree(sha, 10_000)


def test_a_full_disk_is_an_error_and_room_again_is_enough(tmp_path: Path) -> None:
    """The limit on file size stands in for the disk: the same write fails in the same place."""
    path = create_store(tmp_path / "store.git")
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "from artifacts.store.repository import Repository; from contracts.base.errors import ArtifactError;"
        "from tests.artifacts.builders import outcome; from pathlib import Path; import os, random\n"
        "repository = Repository(Path(sys.argv[1]))\n"
        "files = {'f': random.Random(1).randbytes(90_000)}\n"
        "try:\n    repository.commit([repository.draft(outcome(files=files))])\n"
        "except ArtifactError as error:\n    print(type(error).__name__)\n"
        "repository.close()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "GitFailed\n"
    assert git(path, "for-each-ref") == ""
    repository = Repository(path)
    _write(repository, "t1")
    repository.close()
    assert fsck(path) == []


def test_pruning_keeps_what_was_accepted(repository: Repository) -> None:
    one, two = _write(repository, "t1", "t2")
    repository.merge([one, two], "m", 5)
    repository.publish([RefMove("w1", "t1", one)])
    assert repository.prune_pending(10**10) == 0
    assert repository.prune_pending(3_600) == 3
    assert git(repository.git_dir, "for-each-ref", "refs/pending", "refs/merges") == ""
    assert "t1.py" in repository.read_tree(one, 10_000)
    repository.publish([RefMove("w1", "t1", one)])


def test_create_store_is_idempotent_and_careful(tmp_path: Path) -> None:
    path = create_store(tmp_path / "a" / "store.git")
    config = (path / "config").read_bytes()
    assert create_store(path) == path
    assert (path / "config").read_bytes() == config
    (tmp_path / "empty").mkdir()
    assert create_store(tmp_path / "empty")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q")
    sha256 = tmp_path / "sha256"
    sha256.mkdir()
    git(sha256, "init", "-q", "--bare", "--object-format=sha256")
    for bad in (tmp_path / "taken", tmp_path / "taken" / "x", work, sha256):
        with pytest.raises(InvalidInput, match="artifact store"):
            create_store(bad)
    shutil.rmtree(tmp_path / "a")


async def test_a_full_disk_is_an_outage(tmp_path: Path) -> None:
    """Whatever git ran out of room for, and it is soon over once there is room."""
    disk = tmp_path / "disk"
    with small_disk(disk, 2):
        store = open_store(str(create_store(disk / "store")), tmp_path / "cache")
        failed = 0
        for number in range(16):
            fill(disk / "fill", leave=4096 * number)
            try:
                content = {"f.py": os.urandom(12_000)}
                await store.write([outcome(f"t{number}", content, execution_id=f"e{number}")])
            except StoreUnavailable:
                failed += 1
            (disk / "fill").unlink()
            await store.write([outcome(f"u{number}", execution_id=f"u{number}")])
        assert failed
        assert fsck(disk / "store") == []
        await store.close()
