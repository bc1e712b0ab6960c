"""The file of all records: SQLite, which several gateways write and commands read while they do."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from contracts.base.errors import InvalidInput
from contracts.base.processes.command_lines import command_line
from contracts.base.text import encodable
from multi_agent.gateway.private_file import open_private
from multi_agent.gateway.records.record import RequestRecord

_WHAT: Final = "the request log"
_NAMES: Final = tuple(one.name for one in fields(RequestRecord))
_COLUMNS: Final = ", ".join(_NAMES)
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS requests (number INTEGER PRIMARY KEY, {_COLUMNS}, said BLOB, answered BLOB);
CREATE INDEX IF NOT EXISTS requests_at ON requests (at);
CREATE INDEX IF NOT EXISTS requests_session ON requests (session, at) WHERE session != '';
"""
# Columns of ours alone go into these texts.
_ADD: Final = (
    f"INSERT INTO requests ({_COLUMNS}, said, answered) VALUES ({', '.join('?' * (len(_NAMES) + 2))})"  # noqa: S608
)
_READ: Final = f"SELECT {_COLUMNS}, said, answered FROM requests"  # noqa: S608
_FLAGS: Final = frozenset({"stream", "cancelled"})
_LARGEST: Final = 2**63 - 1
_PART: Final = 20
"""Which part of the records goes at once where the file is too large."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A record, and where bodies are kept what was said."""

    record: RequestRecord
    said: bytes | None = None
    """The body of the request; None where it was not kept, or is not whole."""
    answered: bytes | None = None
    """The body of the answer, or its events, as the caller got them; None as above."""


class RequestStore:
    """The file, opened by one who writes."""

    def __init__(self, path: Path) -> None:
        """Raises NotConfigured for a file that cannot be written."""
        self._connection = open_private(path, _SCHEMA, _WHAT)

    def add(self, requests: Iterable[LoggedRequest]) -> None:
        """Write them, all or none. Raises sqlite3.Error."""
        with _transaction(self._connection):
            self._connection.executemany(_ADD, map(_row, requests))

    def trim(self, *, oldest: float, most_bytes: int) -> None:
        """Take out what came before `oldest`, in seconds since 1970, and the oldest of what is too much."""
        with _transaction(self._connection):
            self._connection.execute("DELETE FROM requests WHERE at < ?", [oldest])
            while self._used() > most_bytes and (count := self._count()):
                self._connection.execute(
                    "DELETE FROM requests WHERE number IN (SELECT number FROM requests ORDER BY at LIMIT ?)",
                    [count // _PART + 1],
                )
        # `execute` takes its first step alone, and one page.
        self._connection.executescript("PRAGMA incremental_vacuum")

    def close(self) -> None:
        self._connection.close()

    def _count(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM requests").fetchone()
        return int(count)

    def _used(self) -> int:
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records are wanted."""

    since: float = 0.0
    """Seconds since 1970."""
    model: str = "*"
    """A pattern for SERVICE:MODEL, or for the name that the caller wrote."""
    key: str = ""
    """The name of a key; "" for all."""
    session: str | None = None
    limit: int | None = None
    """The newest so many; None for all."""


def read_records(path: Path, wanted: RecordFilter, *, bodies: bool = False) -> list[LoggedRequest]:
    """The records that are wanted, oldest first. Raises InvalidInput where there is no log."""
    if not path.exists():
        made = command_line("gateway", "--model", "SERVICE:MODEL")
        raise InvalidInput(f"there is no request log at {path}; `{made}` writes one")
    where = "WHERE at >= ? AND (model GLOB ? OR asked GLOB ?)"
    model = encodable(wanted.model)
    given: list[Any] = [wanted.since, model, model]
    for name, value in (("key", wanted.key or None), ("session", wanted.session)):
        if value is not None:
            where += f" AND {name} = ?"
            given.append(encodable(value))
    order = "ORDER BY at DESC, number DESC LIMIT ?"
    try:
        with _reading(path) as connection:
            rows = connection.execute(f"{_READ} {where} {order}", [*given, wanted.limit or -1])
            return [_request(row, bodies=bodies) for row in rows][::-1]
    except (sqlite3.Error, zlib.error) as error:
        raise InvalidInput(f"{_WHAT} {path} cannot be read: {error}") from None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _row(request: LoggedRequest) -> list[Any]:
    record = request.record
    values = [_storable(getattr(record, name)) for name in _NAMES[:-1]]
    bodies = [None if body is None else zlib.compress(body, 1) for body in (request.said, request.answered)]
    return [*values, json.dumps(record.lost), *bodies]


def _storable(value: Any) -> Any:
    """A number of any size, as a service may count, as one that the file can hold."""
    return min(max(value, -_LARGEST), _LARGEST) if isinstance(value, int) else value


def _request(row: tuple[Any, ...], *, bodies: bool) -> LoggedRequest:
    values: Mapping[str, Any] = dict(zip(_NAMES, row, strict=False))
    flags = {name: bool(values[name]) for name in _FLAGS}
    record = RequestRecord(**{**values, **flags, "lost": tuple(json.loads(values["lost"]))})
    if not bodies:
        return LoggedRequest(record)
    said, answered = (None if body is None else zlib.decompress(body) for body in row[len(_NAMES) :])
    return LoggedRequest(record, said, answered)
