"""Examines whether everything that is needed can be used here."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from contracts.base.errors import MultiAgentError
from contracts.ports.bus import MessageBus
from contracts.ports.model import ModelClient
from orchestrator.storage.soundness import check_soundness
from orchestrator.storage.sql.database import Database


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found here, or not."""

    name: str
    found: bool
    detail: str
    needed: bool = False
    """Whether nothing works without it."""


@dataclass(frozen=True, slots=True)
class Examined:
    """How to reach what is examined. Opening anything may raise a MultiAgentError, which is a finding."""

    git: str | None
    """The program's path."""
    database_kind: str
    connect_bus: Callable[[], Awaitable[MessageBus]] | None
    """Refuses a server that may evict messages. None where a private Redis is started when it is needed."""
    data_folder: Finding
    open_database: Callable[[], Database] | None
    """None when there is none yet: it is made when it is needed."""
    open_model: Callable[[], ModelClient]
    check_model: Callable[[], Awaitable[Sequence[str]]]
    """Raises a MultiAgentError when its service cannot be used."""
    price_lines: Callable[[], Sequence[str]]
    """What each model costs."""
    find_redis: Callable[[], Sequence[Finding]]
    """What could serve as a private Redis."""
    find_sandboxes: Callable[[], Awaitable[Sequence[Finding]]]
    model_is_a_recording: bool


async def examine_machine(examined: Examined) -> list[Finding]:
    """Examine everything once."""
    git = examined.git
    return [
        Finding("python", True, sys.version.split()[0], needed=True),
        Finding("git", git is not None, git or "install git", needed=True),
        await _bus(examined.connect_bus),
        *examined.find_redis(),
        examined.data_folder,
        await _database(examined.open_database, examined.database_kind),
        *await examined.find_sandboxes(),
        await _model(examined),
    ]


async def _bus(connect: Callable[[], Awaitable[MessageBus]] | None) -> Finding:
    if connect is None:
        return Finding("bus", True, "a private Redis is started when needed (REDIS_URL is not set)")
    try:
        bus = await connect()
    except MultiAgentError as error:
        return Finding("bus", False, str(error), needed=True)
    await bus.close()
    return Finding("bus", True, "REDIS_URL answers", needed=True)


async def _database(open_database: Callable[[], Database] | None, kind: str) -> Finding:
    if open_database is None:
        return Finding("database", True, f"{kind}, made when needed", needed=True)
    try:
        database = open_database()
        try:
            await database.read(check_soundness)
        finally:
            await database.close()
    except (MultiAgentError, OSError) as error:
        return Finding("database", False, str(error), needed=True)
    return Finding("database", True, kind, needed=True)


async def _model(examined: Examined) -> Finding:
    try:
        model = examined.open_model()
        await model.close()
        wrong = await examined.check_model()
    except MultiAgentError as error:
        return Finding("model", False, str(error), needed=True)
    hint = "; set MULTI_AGENT_MODEL for requests of your own" if examined.model_is_a_recording else ""
    said = "; ".join([f"{model.name}{hint}", *wrong, *examined.price_lines()])
    return Finding("model", True, said, needed=True)
