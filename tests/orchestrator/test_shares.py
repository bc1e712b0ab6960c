"""How owners judge each other and share the shards, without a database."""

from __future__ import annotations

import pytest

from contracts.messages.channels import SHARDS
from orchestrator.core.sharding import FailureDetector, OwnershipSnapshot, ShardRow, next_transfer

LEASE = 6.0
TICK = 0.5


def looked(
    watch: FailureDetector, start: float, end: float, *moving: str, still: tuple[str, ...] = ()
) -> None:
    """Looks twice a second from start to end, at owners whose counters move and at others."""
    for step in range(int((end - start) / TICK) + 1):
        now = start + step * TICK
        watch.observe({**{name: int(now * 10) for name in moving}, **dict.fromkeys(still, 7)}, now)


def test_a_counter_that_stands_still_for_a_lease_is_that_of_a_dead_owner() -> None:
    watch = FailureDetector(LEASE)
    looked(watch, 0.0, LEASE, "a", still=("b",))
    assert watch.dead == {}
    looked(watch, LEASE + TICK, LEASE + TICK, "a", still=("b",))
    assert watch.dead == {"b": 7}
    assert watch.living == {"a"}


def test_an_owner_counts_only_after_a_lease_of_life() -> None:
    watch = FailureDetector(LEASE)
    looked(watch, 0.0, LEASE - TICK, "a")
    assert watch.living == frozenset()
    looked(watch, LEASE, LEASE, "a")
    assert watch.living == {"a"}


def test_after_a_gap_of_its_own_the_watcher_takes_nobody_for_dead() -> None:  # I8
    watch = FailureDetector(LEASE)
    looked(watch, 0.0, 3.0, still=("b",))
    looked(watch, 100.0, 100.0 + LEASE, still=("b",))
    assert watch.dead == {}
    looked(watch, 100.0 + LEASE + TICK, 100.0 + LEASE + TICK, still=("b",))
    assert watch.dead == {"b": 7}


class Table:
    """The shards, and owners that make their moves one after the other."""

    def __init__(self, *owners: str) -> None:
        self.owners = set(owners)
        self.rows = {shard: ShardRow(shard, None, 0) for shard in range(SHARDS)}

    def move(self, me: str, living: set[str] | None = None) -> bool:
        """Whether this owner changed anything."""
        roll = OwnershipSnapshot(dict.fromkeys(self.owners, 1), tuple(self.rows.values()))
        change = next_transfer(me, roll, self.owners if living is None else living)
        for shard in change.release:
            assert self.rows[shard].owner == me
            self.rows[shard] = ShardRow(shard, None, self.rows[shard].epoch)
        for row in change.claim:
            assert self.rows[row.shard].owner not in self.owners
            self.rows[row.shard] = ShardRow(row.shard, me, row.epoch + 1)
        return bool(change)

    def settle(self) -> int:
        """Moves until nobody wants to make one."""
        rounds = 0
        while any([self.move(name) for name in sorted(self.owners)]):
            rounds += 1
            assert rounds < 10
        return rounds

    @property
    def sizes(self) -> list[int]:
        held = [row.owner for row in self.rows.values()]
        assert all(owner in self.owners for owner in held)
        return sorted(held.count(name) for name in self.owners)


@pytest.mark.parametrize(("count", "least", "most"), [(1, 64, 64), (2, 32, 32), (3, 20, 22), (5, 12, 13)])
def test_owners_come_to_rest_with_all_shards_in_fair_parts(count: int, least: int, most: int) -> None:
    table = Table("a")
    table.settle()
    table.owners |= {f"b{number}" for number in range(count - 1)}
    table.settle()
    assert (table.sizes[0], table.sizes[-1]) == (least, most)


def test_the_shards_of_one_that_is_gone_go_to_the_others() -> None:
    table = Table("a", "b", "c")
    table.settle()
    table.owners.remove("b")
    assert table.settle() == 1
    assert table.sizes == [32, 32]


def test_more_owners_than_shards_leave_some_with_none() -> None:
    table = Table(*(f"owner-{number:03}" for number in range(SHARDS + 6)))
    table.settle()
    assert table.sizes == [0] * 6 + [1] * SHARDS


def test_one_that_is_not_known_to_live_gets_nothing_and_loses_nothing() -> None:
    table = Table("old", "new")
    table.move("old", living=set())
    assert not table.move("old", living=set())
    assert not table.move("new", living=set())
    assert table.sizes == [0, SHARDS]


def test_two_that_look_at_the_same_moment_want_different_shards() -> None:
    roll = OwnershipSnapshot({"a": 1, "b": 1}, tuple(ShardRow(shard, None, 0) for shard in range(SHARDS)))
    wanted = [{row.shard for row in next_transfer(me, roll, {"a", "b"}).claim} for me in ("a", "b")]
    assert not wanted[0] & wanted[1]
