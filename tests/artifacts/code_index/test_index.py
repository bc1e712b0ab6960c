"""The index over a store: read once for each content, bounded, and not to be disturbed by what it finds."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from artifacts import GitArtifactStore
from artifacts.code_index.cache import EntryCache
from artifacts.code_index.entry import Entry, make_entry
from artifacts.code_index.index import LARGEST_FILE, Files, Index, read_entries
from artifacts.code_index.symbols import outline
from artifacts.code_index.words import counted
from artifacts.store.listing import ListedFile, Trees, open_trees
from contracts.base.errors import ArtifactError, InvalidInput, LimitExceeded
from tests.artifacts.builders import commit_all, git

MISSING = "0" * 40


class Watched:
    """Trees that notes what is read."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self.read: list[str] = []

    async def list_files(self, commit: str) -> list[ListedFile]:
        return await self._trees.list_files(commit)

    async def read_files(self, oids: Sequence[str]) -> list[bytes]:
        self.read += oids
        return await self._trees.read_files(oids)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A user's repository."""
    folder = tmp_path / "user"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "src").mkdir()
    (folder / "src" / "box.py").write_text("class Box:\n    def grow(self): pass\n")
    (folder / "src" / "lid.py").write_text("class Lid:\n    def shut(self): pass\n")
    (folder / "README.md").write_text("grow grow grow\n")
    commit_all(folder)
    return folder


@pytest_asyncio.fixture
async def trees(source: Path) -> AsyncIterator[Trees]:
    opened, _ = open_trees(source)
    yield opened
    await opened.close()


def head(source: Path) -> str:
    return git(source, "rev-parse", "HEAD")


async def test_a_user_s_repository_is_mapped_where_it_is(source: Path, trees: Trees, tmp_path: Path) -> None:
    found = await Index(trees, EntryCache(tmp_path / "c")).map(head(source), "a box does not grow")
    assert found.paths == ("src/box.py", "src/lid.py", "README.md")
    assert found.text.startswith("src/box.py\n     1 class Box:\n     2     def grow(self): pass\nsrc/lid.py")
    assert found.note == ""
    assert git(source, "status", "--porcelain") == ""


async def test_a_store_is_mapped_near_and_far(
    opener: Callable[[str], GitArtifactStore], location: str, source: Path, tmp_path: Path
) -> None:
    commit = await opener(location).import_base(source)
    other = opener(location)
    found = await Index(other.trees(), EntryCache(tmp_path / "c")).map(commit, "shut")
    assert found.paths[0] == "src/lid.py"


async def test_only_new_contents_are_read(source: Path, trees: Trees, tmp_path: Path) -> None:
    watched = Watched(trees)

    def index() -> Index:
        return Index(watched, EntryCache(tmp_path / "c"))

    first = await index().map(head(source), "grow")
    assert len(watched.read) == 2
    watched.read.clear()
    assert await index().map(head(source), "grow") == first
    assert watched.read == []
    (source / "src" / "moved.py").write_text((source / "src" / "lid.py").read_text())
    (source / "src" / "new.py").write_text("def grow(): pass\n")
    commit_all(source)
    assert "src/new.py" in (await index().map(head(source), "grow")).paths[:2]
    assert watched.read == [git(source, "rev-parse", "HEAD:src/new.py")]


async def test_a_map_that_was_made_is_not_made_again(source: Path, trees: Trees, tmp_path: Path) -> None:
    index = Index(trees, EntryCache(tmp_path / "c"))
    made = await index.map(head(source), "grow")
    assert await index.map(head(source), "grow") is made
    assert await index.map(head(source), "shut") is not made


async def test_a_damaged_cache_is_made_again(source: Path, trees: Trees, tmp_path: Path) -> None:
    made = await Index(trees, EntryCache(tmp_path / "c")).map(head(source), "grow")
    for number, path in enumerate(sorted(path for path in (tmp_path / "c").rglob("*") if path.is_file())):
        raw = path.read_bytes()
        path.write_bytes((b"", raw[:-50])[number % 2])
    assert await Index(trees, EntryCache(tmp_path / "c")).map(head(source), "grow") == made


async def test_a_cache_that_cannot_be_written_is_done_without(
    source: Path, trees: Trees, tmp_path: Path
) -> None:
    (tmp_path / "c").write_text("a file")
    found = await Index(trees, EntryCache(tmp_path / "c")).map(head(source), "grow")
    assert found.paths[0] == "src/box.py"


async def test_a_file_that_takes_too_much_to_read_is_known_by_its_name_and_stops_no_other(
    source: Path, trees: Trees, tmp_path: Path
) -> None:
    for number in range(5):
        (source / "src" / f"grow{number}.py").write_text(f"class Grow{number}: pass\n")
    commit_all(source)
    calls = []

    async def read(files: Files) -> list[Entry]:
        calls.append(len(files))
        if any(path == "src/grow3.py" for path, _ in files):
            raise LimitExceeded("takes longer than 5 s to check")
        return read_entries(files)

    first, _ = await Index(trees, EntryCache(tmp_path / "c"), read=read).contents(head(source))
    assert first["src/grow3.py"] == Entry()
    assert all(first[f"src/grow{number}.py"].symbols() for number in (0, 1, 2, 4))
    assert calls[0] == 7
    assert calls[1:] == [1] * 7
    calls.clear()
    assert await Index(trees, EntryCache(tmp_path / "c"), read=read).contents(head(source)) == (first, 0)
    assert calls == []


async def test_reading_that_takes_too_long_goes_on_with_the_next_map(
    source: Path, trees: Trees, tmp_path: Path
) -> None:
    for number in range(600):
        (source / "src" / f"part{number}.py").write_text(f"PART = {number}\n")
    commit_all(source)

    def index() -> Index:
        return Index(trees, EntryCache(tmp_path / "c"), reading_seconds=0.0)

    first = await index().map(head(source), "lid")
    assert len(first.paths) == 603
    assert first.note.startswith("102 files are ranked by their names alone")
    assert (await index().map(head(source), "lid")).note == ""


@pytest.mark.slow
async def test_a_file_that_nests_too_deeply_is_known_by_its_name(
    source: Path, trees: Trees, tmp_path: Path
) -> None:
    await Index(trees, EntryCache(tmp_path / "c")).map(head(source), "grow")
    (source / "src" / "deep.py").write_bytes(b"{[(" * 150_000)
    commit_all(source)
    found = await Index(trees, EntryCache(tmp_path / "c")).map(head(source), "grow")
    assert found.paths[0] == "src/box.py"
    assert "    def grow(self): pass" in found.text
    assert "src/deep.py" in found.paths


async def test_a_file_that_is_too_large_is_known_by_its_name(
    source: Path, trees: Trees, tmp_path: Path
) -> None:
    (source / "src" / "large.py").write_bytes(b"grow = 1\n" * (LARGEST_FILE // 9 + 1))
    commit_all(source)
    watched = Watched(trees)
    found = await Index(watched, EntryCache(tmp_path / "c")).map(head(source), "grow")
    assert found.paths[0] == "src/box.py"
    assert "src/large.py" in found.paths
    assert git(source, "rev-parse", "HEAD:src/large.py") not in watched.read


async def test_names_that_agents_are_not_given_and_links_are_left_out(
    source: Path, trees: Trees, tmp_path: Path
) -> None:
    (source / "src" / "a:b.py").write_text("def grow(): pass\n")
    os.symlink("box.py", source / "src" / "link.py")
    commit_all(source)
    found = await Index(trees, EntryCache(tmp_path / "c")).map(head(source), "grow")
    assert set(found.paths) == {"src/box.py", "src/lid.py", "README.md"}


async def test_what_is_missing_is_an_error_that_says_so(source: Path, trees: Trees, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        await Index(trees, EntryCache(tmp_path / "c")).map(MISSING, "grow")
    with pytest.raises(ArtifactError, match="partial clone"):
        await trees.read_files([MISSING])
    with pytest.raises(InvalidInput, match="no Git repository"):
        open_trees(tmp_path)


def test_the_cache_keeps_to_its_room_and_lets_the_oldest_go(tmp_path: Path) -> None:
    entries = {f"{number:040}.py": _entry(f"word{number} " * 50) for number in range(50)}
    size = sum(len(entry.to_bytes()) for entry in entries.values())
    cache = EntryCache(tmp_path, room=size // 2)
    for at, (key, entry) in enumerate(entries.items()):
        cache.save({key: entry})
        place = next(path for path in tmp_path.rglob("*.py") if path.name == key[2:])
        os.utime(place, (at, at))
    cache.trim()
    kept = cache.load(entries)
    assert size * 0.3 < sum(len(entry.to_bytes()) for entry in kept.values()) <= size * 0.4
    assert list(kept) == list(entries)[-len(kept) :]


def test_an_entry_is_what_was_written() -> None:
    entry = _entry("class Box(Base):\n    def grow(self): self.shut()\n" * 3)
    assert Entry.from_bytes(entry.to_bytes()) == entry
    assert [symbol.name for symbol in entry.symbols()] == ["Box", "grow"] * 3
    for cut in (0, 5, 30, 60):
        with pytest.raises(Exception, match=r"damaged|unpack"):
            Entry.from_bytes(entry.to_bytes()[:cut])


def _entry(text: str) -> Entry:
    return make_entry(counted(text), outline("a.py", text.encode()))
