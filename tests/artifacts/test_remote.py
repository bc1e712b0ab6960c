"""Stores by URL: what is refused, and what it looks like when they cannot be reached."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artifacts import GitArtifactStore, open_store
from contracts.base.errors import ArtifactError, InvalidInput, StoreUnavailable
from tests.artifacts.builders import git, outcome


@pytest.mark.parametrize(
    "location",
    [
        "ext::sh -c true://",
        "ext://x/y",
        "ftp://host/x",
        "://x",
        "ssh://-oProxyCommand=x/y",
        "git:///store.git",
        "git://host/a b",
        "git://host/a\nb",
        "https://me:secret@host/\x01",
        "/no/such/path",
        "--upload-pack=x",
        "",
    ],
)
def test_locations_that_are_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(InvalidInput, match="artifact store") as caught:
        open_store(location, tmp_path)
    assert "secret" not in str(caught.value)


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that is bound, so that nobody else takes it, and answers nobody."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("scheme", ["git", "http"])
async def test_out_of_reach(opener: Callable[[str], GitArtifactStore], dead_port: int, scheme: str) -> None:
    store = opener(f"{scheme}://me:secret@127.0.0.1:{dead_port}/store.git")
    for work in (
        lambda: store.write([outcome()]),
        lambda: store.read_tree("0123456789" * 4),
        lambda: store.load_exchange("w1", "t1", "k"),
        lambda: store.save_exchange("w1", "t1", "k", b""),
    ):
        with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
            await work()
        assert "secret" not in str(caught.value)


async def test_back_again_after_it_was_away(opener: Callable[[str], GitArtifactStore], bare: Path) -> None:
    store = opener(f"file://{bare}")
    away = bare.with_name("away")
    await asyncio.to_thread(bare.rename, away)
    with pytest.raises(StoreUnavailable):
        await store.write([outcome()])
    await asyncio.to_thread(away.rename, bare)
    [sha] = await store.write([outcome()])
    assert git(bare, "rev-parse", "refs/pending/w1/t1/1/e1^") == sha


async def test_a_store_that_refuses(opener: Callable[[str], GitArtifactStore], bare: Path) -> None:
    git(bare, "config", "receive.hideRefs", "refs/pending")
    with pytest.raises(ArtifactError, match="refuses refs/pending/w1/t1/1/e1"):
        await opener(f"file://{bare}").write([outcome()])


async def test_the_cache_may_be_thrown_away(
    opener: Callable[[str], GitArtifactStore], bare: Path, tmp_path: Path
) -> None:
    first = opener(f"file://{bare}")
    [sha] = await first.write([outcome()])
    await first.close()
    shutil.rmtree(tmp_path / "cache0")
    again = open_store(f"file://{bare}", tmp_path / "cache0")
    [child] = await again.write([outcome("t2", parents=(sha,))])
    assert "t1.py" in await again.read_tree(child)
    await again.close()
