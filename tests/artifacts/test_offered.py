"""The branch of unverified work: there while there is no result, and gone in the same moment as one comes."""

from __future__ import annotations

from pathlib import Path

from artifacts import GitArtifactStore
from contracts.ports.artifacts import RefMove
from tests.artifacts.builders import git, outcome


def _branches(bare: Path) -> dict[str, str]:
    lines = git(
        bare, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"
    ).splitlines()
    return {name.removeprefix("refs/heads/ai/generated/w1/"): sha for name, sha in map(str.split, lines)}


async def test_an_offer_is_a_branch_that_a_newer_one_replaces(store: GitArtifactStore, bare: Path) -> None:
    one, two = await store.write([outcome("t1"), outcome("t2")])
    for sha in (one, two, two):
        await store.publish([RefMove("w1", "unverified", sha)])
        assert _branches(bare) == {"unverified": sha}
    assert git(bare, "for-each-ref", "refs/superseded", "refs/multi-agent", "refs/tags") == ""


async def test_a_result_takes_the_offers_place_and_no_offer_comes_after_it(
    store: GitArtifactStore, other: GitArtifactStore, bare: Path
) -> None:
    """Also from another machine, whose cache never saw the offer or the result."""
    one, two = await store.write([outcome("t1"), outcome("t2")])
    await store.publish([RefMove("w1", "unverified", one)])
    git(bare, "pack-refs", "--all")
    for _ in range(2):
        await other.publish([RefMove("w1", "result", two), RefMove("w1", "unverified", None)])
        assert _branches(bare) == {"result": two}
    await store.publish([RefMove("w1", "unverified", one)])
    assert _branches(bare) == {"result": two}


async def test_a_task_of_the_first_release_may_have_the_name(local: GitArtifactStore, bare: Path) -> None:
    one, two = await local.write([outcome("unverified"), outcome("t2")])
    await local.publish([RefMove("w1", "unverified", one)])
    await local.publish([RefMove("w1", "result", two)])
    assert _branches(bare) == {"result": two, "unverified": one}
