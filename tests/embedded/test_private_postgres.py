"""The PostgreSQL that store tests use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import psycopg
import pytest

from tests.embedded.processes import program, wait_until
from tests.support.postgres import PrivatePostgres

PARENT = """
import time
from tests.support.postgres import PrivatePostgres
server = PrivatePostgres().start()
print(server.port, server.folder, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgres]:
    server = PrivatePostgres().start()
    yield server
    server.stop()
    assert not server.folder.exists()


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"))


def test_databases_are_new_and_apart(server: PrivatePostgres) -> None:
    first, second = server.new_database(), server.new_database()
    assert first != second
    with connect(first) as connection:
        connection.execute("CREATE TABLE t (x int)")
    with connect(second) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_what_was_committed_survives_a_kill(server: PrivatePostgres) -> None:
    url = server.new_database()
    with connect(url) as connection:
        connection.execute("CREATE TABLE t (x int)")
    server.kill()
    with pytest.raises(psycopg.OperationalError):
        connect(url)
    server.restart()
    with connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_it_dies_with_its_parent(server: PrivatePostgres) -> None:
    with program(PARENT) as (parent, line):
        port, folder = line.split()
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        connect(url).close()
        parent.kill()
        assert wait_until(lambda: not _reachable(url))
    shutil.rmtree(folder)


def _reachable(url: str) -> bool:
    try:
        connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
