"""The cache of folders: made once, bounded by the last use, and safe with several processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contracts.base.processes.folder_cache import FolderCache

SIZE = 25 * 4_096


def _fill(folder: Path) -> None:
    (folder / "file").write_bytes(b"x" * SIZE)


def _use(cache: FolderCache, *names: str) -> None:
    for name in names:
        with cache.using(name, _fill) as entry:
            assert (entry.content / "file").stat().st_size == SIZE
            assert (entry.size, entry.file_count) == (SIZE, 1)


def _names(folder: Path) -> set[str]:
    locks = (".gate", ".maker-")
    return {path.name for path in folder.iterdir() if not path.name.startswith(locks)}


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        _fill(folder)

    cache = FolderCache(tmp_path / "cache", 10 * SIZE)
    for _ in range(3):
        with cache.using("a", make):
            pass
    assert len(made) == 1
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_the_entry_used_longest_ago_goes(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, 3 * SIZE)
    _use(cache, "a", "b", "c", "a", "d")
    assert _names(tmp_path) == {"a", "c", "d"}
    _use(cache, "c", "e")
    assert _names(tmp_path) == {"c", "d", "e"}


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, SIZE)
    with cache.using("a", _fill) as held:
        _use(cache, "b", "c", "d")
        assert (held.content / "file").exists()
        assert _names(tmp_path) == {"a", "d"}
    _use(cache, "e")
    assert _names(tmp_path) == {"e"}


def test_an_entry_that_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        _fill(folder)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError), FolderCache(tmp_path, SIZE).using("a", fail):
        pass
    assert _names(tmp_path) == set()


def test_what_a_dead_maker_left_is_removed_and_a_living_one_is_not(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from contracts.base.processes.folder_cache import FolderCache
def make(folder):
    (folder / "part").write_text("x")
    print("making", flush=True)
    sys.stdin.read()
FolderCache(Path({str(tmp_path)!r}), {SIZE}).using("slow", make).__enter__()
"""
    cache = FolderCache(tmp_path, SIZE)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        try:
            assert maker.stdout is not None
            assert maker.stdout.readline() == "making\n"
            _use(cache, "a")
            assert len(_names(tmp_path)) == 2
        finally:
            maker.kill()
    _use(cache, "b")
    assert _names(tmp_path) == {"b"}


def test_several_processes_share_a_full_cache(tmp_path: Path) -> None:
    code = f"""
import random, sys
from pathlib import Path
from contracts.base.processes.folder_cache import FolderCache
cache = FolderCache(Path({str(tmp_path)!r}), {2 * SIZE})
def fill(folder):
    (folder / "file").write_bytes(b"x" * {SIZE})
for _ in range(100):
    with cache.using(random.choice("abcdef"), fill) as entry:
        assert len((entry.content / "file").read_bytes()) == {SIZE}
"""
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    _use(FolderCache(tmp_path, 2 * SIZE), "a", "b", "c")
    assert len(_names(tmp_path)) == 2
    assert not [name for name in _names(tmp_path) if name.startswith(".")]


def test_an_entry_is_as_young_as_its_last_use(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, 10 * SIZE)
    _use(cache, "a")
    os.utime(tmp_path / "a" / "lock", (1, 1))
    _use(cache, "a")
    assert (tmp_path / "a" / "lock").stat().st_mtime > time.time() - 60


def test_two_that_want_the_same_entry_make_it_once(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, 10 * SIZE)
    made: list[str] = []
    first, second = threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        made.append(threading.current_thread().name)
        first.set()
        assert second.wait(20)
        _fill(folder)

    def use() -> None:
        with cache.using("a", make):
            pass

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(use)
        assert first.wait(20)
        two = pool.submit(use)
        second.set()
        one.result(20)
        two.result(20)
    assert len(made) == 1


def test_entries_are_listed_and_removed_unless_they_are_used(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "cache", 10 * SIZE)
    assert cache.entries() == []
    _use(cache, "a", "b")
    os.utime(tmp_path / "cache" / "a" / "lock", (1, 1))
    assert [(one.name, one.size, one.used_at == 1) for one in cache.entries()] == [
        ("b", SIZE, False),
        ("a", SIZE, True),
    ]
    with cache.using("a", _fill):
        assert not cache.remove("a")
    assert cache.remove("a")
    assert cache.remove("never")
    assert [one.name for one in cache.entries()] == ["b"]
