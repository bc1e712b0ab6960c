"""The ledger: what keys have taken, in a file that several gateways share.

What a request may take is charged before it is sent, and what it did not take is given back. So a gateway
that dies has overspent nothing: what it had under way stays charged in full.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.base.errors import NotConfigured
from multi_agent.gateway.budgets.limits import (
    MINUTE,
    KeyAmount,
    KeyLimits,
    KeySpent,
    LimitHit,
    day_of,
    first_hit,
)
from multi_agent.gateway.private_file import open_private

WHAT: Final = "the ledger of the gateway's keys"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS days (
    key TEXT, day TEXT, nano_usd INTEGER NOT NULL, tokens INTEGER NOT NULL, requests INTEGER NOT NULL,
    PRIMARY KEY (key, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, day TEXT NOT NULL, at REAL NOT NULL,
    nano_usd INTEGER NOT NULL, tokens INTEGER NOT NULL, is_open INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS tries_key ON tries (key, at);
"""
_CHARGE: Final = """
INSERT INTO days VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    nano_usd = nano_usd + excluded.nano_usd, tokens = tokens + excluded.tokens,
    requests = requests + excluded.requests
"""
_SPENT: Final = """
SELECT coalesce(sum(nano_usd), 0), coalesce(sum(nano_usd) FILTER (WHERE day = :day), 0),
    coalesce(sum(tokens) FILTER (WHERE day = :day), 0)
FROM days WHERE key = :key
"""
_MINUTE: Final = "SELECT count(*), coalesce(sum(tokens), 0) FROM tries WHERE key = ? AND at > ? AND at < ?"
_OPEN: Final = "SELECT count(*), coalesce(sum(nano_usd), 0) FROM tries WHERE key = ? AND is_open"
_IN_MINUTE: Final = "SELECT at, tokens FROM tries WHERE key = ? AND at > ? AND at < ? ORDER BY at"
_FORGET: Final = "DELETE FROM tries WHERE at < ? AND (NOT is_open OR at < ?)"
_FORGET_EVERY: Final = 100
_OPEN_SECONDS: Final = 86_400.0
"""After which a request that nobody settled is no longer known as open; its charge stays."""


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """A request that does not fit."""

    hit: LimitHit
    frees_in: float | None = None
    """Seconds until it fits, for a limit of a minute; None where it never does."""


class KeyLedger:
    """The file, opened. Used by one thread at a time; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        """Raises NotConfigured."""
        self._connection = open_private(path, _SCHEMA, WHAT)
        self._since_forgetting = 0

    def take(self, key: str, limits: KeyLimits, asked: KeyAmount, now: float) -> int | KeyRefused:
        """Charge what a request may take; its number, or why it does not fit. Raises sqlite3.Error."""
        with self._transaction():
            hit = first_hit(limits, self.spent(key, now), asked)
            if hit is not None:
                frees = self._frees_in(key, hit, now) if hit.is_rate and not hit.is_never else None
                return KeyRefused(hit, frees)
            self._forget(now)
            day = day_of(now)
            self._connection.execute(_CHARGE, [key, day, asked.nano_usd, asked.tokens, 1])
            number = self._connection.execute(
                "INSERT INTO tries (key, day, at, nano_usd, tokens, is_open) VALUES (?, ?, ?, ?, ?, 1)",
                [key, day, now, asked.nano_usd, asked.tokens],
            ).lastrowid
            assert number is not None
            return number

    def settle(self, number: int, took: KeyAmount | None) -> None:
        """Say what a request took, None where that is not known: then it stays charged in full.

        Only the first word counts. Raises sqlite3.Error.
        """
        with self._transaction():
            found = self._connection.execute(
                "SELECT key, day, nano_usd, tokens FROM tries WHERE number = ? AND is_open", [number]
            ).fetchone()
            if found is None:
                return
            key, day, nano_usd, tokens = found
            took = took or KeyAmount(tokens, nano_usd)
            self._connection.execute(_CHARGE, [key, day, took.nano_usd - nano_usd, took.tokens - tokens, 0])
            self._connection.execute(
                "UPDATE tries SET nano_usd = ?, tokens = ?, is_open = 0 WHERE number = ?",
                [took.nano_usd, took.tokens, number],
            )

    def spent(self, key: str, now: float) -> KeySpent:
        """What a key has taken. Raises sqlite3.Error."""
        usd, usd_today, tokens = self._row(_SPENT, {"key": key, "day": day_of(now)})
        requests, tokens_minute = self._row(_MINUTE, [key, *_around(now)])
        count, open_usd = self._row(_OPEN, [key])
        return KeySpent(usd, usd_today, tokens, requests, tokens_minute, count, open_usd)

    def close(self) -> None:
        self._connection.close()

    def _frees_in(self, key: str, hit: LimitHit, now: float) -> float:
        """When enough of the last minute is over."""
        excess = hit.spent + hit.asked - hit.most
        for at, tokens in self._connection.execute(_IN_MINUTE, [key, *_around(now)]):
            excess -= tokens if hit.name == "tokens_per_minute" else 1
            if excess <= 0:
                return max(float(at) + MINUTE - now, 0.0)
        return MINUTE

    def _forget(self, now: float) -> None:
        self._since_forgetting += 1
        if self._since_forgetting >= _FORGET_EVERY:
            self._since_forgetting = 0
            self._connection.execute(_FORGET, [now - MINUTE, now - _OPEN_SECONDS])

    def _row(self, query: str, values: Any) -> tuple[int, ...]:
        row: tuple[int, ...] = self._connection.execute(query, values).fetchone()
        return row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # From its beginning nobody else writes, so that what was read still holds.
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _around(now: float) -> tuple[float, float]:
    """Between which times a request counts as of the last minute: the clock may have been ahead."""
    return now - MINUTE, now + MINUTE


def read_spent(path: Path, keys: list[str], now: float) -> dict[str, KeySpent]:
    """What keys have taken; nothing where there is no ledger yet. Raises NotConfigured."""
    if not path.exists():
        return {key: KeySpent() for key in keys}
    ledger = KeyLedger(path)
    try:
        return {key: ledger.spent(key, now) for key in keys}
    except sqlite3.Error as error:
        raise NotConfigured(f"{WHAT} {path} cannot be read: {error}") from None
    finally:
        ledger.close()
