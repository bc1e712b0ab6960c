"""Several orchestrator processes on one PostgreSQL: one is killed, the others go on (I2, I4)."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest

from orchestrator.core.sharding import shard_of
from tests.e2e.conftest import Cli
from tests.e2e.test_faults import prepared, starts
from tests.support.pooler import PrivatePooler
from tests.support.postgres import PrivatePostgres
from tests.support.redis_servers import PrivateRedis


@pytest.fixture
def redis(cli: Cli) -> Iterator[PrivateRedis]:
    server = PrivateRedis().start()
    cli.env["REDIS_URL"] = server.url
    yield server
    server.stop()


@pytest.fixture(params=["direct", "pooled"])
def database(cli: Cli, request: pytest.FixtureRequest) -> Iterator[str]:
    """The database, asked directly or through a pooler that gives each transaction another session."""
    with ExitStack() as stack:
        server = PrivatePostgres().start()
        stack.callback(server.stop)
        url = used = server.new_database()
        if request.param == "pooled":
            pooler = PrivatePooler(server).start()
            stack.callback(pooler.stop)
            used = pooler.url(url)
        cli.env["DATABASE_URL"] = used
        yield url.replace("postgresql+psycopg", "postgresql")


def holders(url: str) -> dict[int, int | None]:
    """The process that holds each shard; {} while the database is being made."""
    query = "SELECT shard, pid FROM shards LEFT JOIN orchestrators ON owner = orchestrator_id"
    try:
        with closing(psycopg.connect(url)) as connection:
            return {shard: pid for shard, pid in connection.execute(query)}
    except psycopg.errors.UndefinedTable:
        return {}


def test_work_goes_on_when_one_of_two_orchestrators_is_killed(
    redis: PrivateRedis, database: str, cli: Cli
) -> None:
    prepared(cli)
    cli.env["MULTI_AGENT_LEASE_SECONDS"] = "2"
    first, second = cli.start("orchestrator"), cli.start("orchestrator")
    cli.start("worker", "--agents", "slow_agents")
    cli.until(
        lambda: Counter(holders(database).values()) == {first.pid: 32, second.pid: 32}, "both share the load"
    )
    name = cli("submit", "slow.json").stdout.strip()
    cli.until(lambda: "b" in starts(cli), "task b started")
    killed = holders(database)[shard_of(name)]
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    (cli.folder / "go").touch()
    cli("watch", name)
    assert Counter(starts(cli)) == {"a": 1, "b": 1, "c": 1}
    done = Counter(entry["task_id"] for entry in cli.events(name) if entry["kind"] == "task.succeeded")
    assert done == {"a": 1, "b": 1, "c": 1}
    assert [owner["pid"] for owner in cli.json("status")["orchestrators"]] == [
        process.pid for process in (first, second) if process.pid != killed
    ]

    redis.kill()
    cli.until(lambda: ": waiting for Redis since " in cli("status").stdout, "the orchestrator says so")
    redis.start()
    cli.until(lambda: "waiting for Redis" not in cli("status").stdout, "it is back")
