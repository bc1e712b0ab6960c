"""PostgreSQL behind a pooler that gives each transaction another session, and with roles of few rights."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, func, select, text

from contracts.base.errors import NotConfigured
from multi_agent.settings import load_settings
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.sql.pipelining import pipelined_block
from orchestrator.storage.tables import shards
from orchestrator.storage.writing import Rows
from tests.support.pooler import PrivatePooler
from tests.support.postgres import PrivatePostgres

TIMES = 20
"""More than the executions after which the driver prepares a statement."""
ROWS = Rows(shards, ("epoch",), ("shard",))
IDLE = text("SHOW idle_in_transaction_session_timeout")


@pytest.fixture(scope="module", params=["", "options,extra_float_digits"], ids=["strict", "ignoring"])
def pooler(postgres: PrivatePostgres, request: pytest.FixtureRequest) -> Iterator[PrivatePooler]:
    """One that refuses start-up options, and one that says nothing about them."""
    made = PrivatePooler(postgres, ignored=request.param).start()
    yield made
    made.stop()


async def use(database: Database, shard: int) -> None:
    """Read and write again and again, also several statements at once."""

    def write(connection: Connection) -> object:
        with pipelined_block(connection):
            ROWS.write(connection, [(7, shard)])
        return connection.execute(IDLE).scalar()

    def read(connection: Connection) -> object:
        return connection.execute(select(shards.c.epoch).where(shards.c.shard == shard)).scalar()

    for _ in range(TIMES):
        assert await database.write(write) == "5s"
        assert await database.read(read) == 7


async def test_transactions_may_each_have_another_session(
    postgres: PrivatePostgres, pooler: PrivatePooler
) -> None:
    direct = postgres.new_database()
    url = pooler.url(direct)
    await asyncio.to_thread(upgrade, url)
    databases = [open_database(url) for _ in range(4)]
    await asyncio.gather(*(use(database, number) for number, database in enumerate(databases)))
    count = select(func.count()).select_from(shards).where(shards.c.epoch == 7)
    assert await databases[0].read(lambda connection: connection.execute(count).scalar()) == 4
    for database in databases:
        await database.close()


async def test_what_others_share_is_left_as_it_was(postgres: PrivatePostgres, pooler: PrivatePooler) -> None:
    url = pooler.url(postgres.new_database())
    database = open_database(url)
    assert await database.read(lambda connection: connection.execute(IDLE).scalar()) == "5s"
    await database.close()
    with psycopg.connect(url, autocommit=True) as other:
        assert other.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("0",)


@pytest.fixture
def plain(postgres: PrivatePostgres) -> str:
    """A database in which the role `plain`, as every role since PostgreSQL 15, may create nothing."""
    url = postgres.new_database()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'plain'").fetchall():
            connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    return url


def as_plain(url: str) -> str:
    return url.replace("postgres@", "plain@")


def test_a_role_that_may_not_create_tables_is_told_the_grant(plain: str) -> None:
    grant = r'permission denied for schema public; .*: GRANT USAGE, CREATE ON SCHEMA public TO "plain"$'
    with pytest.raises(NotConfigured, match=grant):
        upgrade(as_plain(plain))


async def test_a_role_that_may_not_use_tables_is_told_the_grant(plain: str) -> None:
    upgrade(plain)
    database = open_database(as_plain(plain))
    grant = 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "plain"$'
    with pytest.raises(NotConfigured, match=grant):
        await database.read(lambda connection: connection.execute(select(shards.c.epoch)).all())
    await database.close()


def test_tables_of_another_role_are_upgraded_by_that_role(plain: str) -> None:
    upgrade(plain, "0003")
    with psycopg.connect(plain.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("GRANT ALL ON SCHEMA public TO plain")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    with pytest.raises(NotConfigured, match="as the role that made its tables"):
        upgrade(as_plain(plain))


@pytest.mark.parametrize("name", ["50%", "a%41b", "what?", "a#b", "a b", "ü"])
async def test_a_folder_may_have_any_name(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data") / name
    folder.mkdir()
    url = load_settings({"data_dir": folder}).database
    upgrade(url)
    database = open_database(url)
    await database.read(lambda connection: connection.execute(select(shards.c.epoch)).all())
    await database.close()
    assert (folder / "state.db").exists()
