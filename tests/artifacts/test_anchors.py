"""Anchors of the audit log: one behind the other, from several writers at once, by path and by URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from artifacts import GitArtifactStore
from tests.artifacts.builders import git

Opener = Callable[[str], GitArtifactStore]


async def test_anchors_are_kept_in_their_order(location: str, opener: Opener, bare: Path) -> None:
    store = opener(location)
    assert await store.anchors() == []
    first = await store.add_anchor('{"at":1}', 1)
    second = await store.add_anchor('{"at":2}', 2)
    assert await store.anchors() == [(first, '{"at":1}'), (second, '{"at":2}')]
    assert git(bare, "rev-parse", "refs/multi-agent/audit/heads").strip() == second
    assert await store.anchors(1) == [(second, '{"at":2}')]
    assert await opener(location).anchors() == await store.anchors(), "another machine finds them"


async def test_writers_that_race_each_get_a_place(location: str, opener: Opener) -> None:
    stores = [opener(location) for _ in range(3)]
    await asyncio.gather(*(stores[number % 3].add_anchor(f"{number}", number) for number in range(6)))
    texts = [text for _, text in await stores[0].anchors()]
    assert sorted(texts) == [str(number) for number in range(6)]
