"""Long-running processes: orchestrator and sandbox host. Each runs until SIGTERM or SIGINT."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import AsyncExitStack, suppress

import structlog

from contracts.base.errors import BusUnavailable, InvalidInput
from contracts.ports.bus import MessageBus
from multi_agent.application.data_folder import make_data_folder
from multi_agent.bootstrap import (
    arm_failpoints,
    choose_sandbox,
    connect_bus,
    make_artifacts,
    make_bus,
    make_client,
    make_orchestrator,
    make_sandbox_host,
    make_served,
    open_current_database,
    sandbox_settings,
)
from multi_agent.runtime.forking.forked_children import freeze_heap
from multi_agent.runtime.locks import FileLock
from multi_agent.runtime.observing.anchoring import anchored
from multi_agent.runtime.observing.hooks import audit_hook
from multi_agent.runtime.observing.metrics_server import serve_metrics
from multi_agent.runtime.served_paths import served_paths
from multi_agent.runtime.stopping import on_stop_signals
from multi_agent.settings import Settings

log = structlog.get_logger(__name__)


class AlreadyServed(InvalidInput):
    """Another orchestrator serves this SQLite database."""


def new_process_id() -> str:
    """Make a unique name for a worker, an orchestrator or a sandbox host."""
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname()).strip("-") or "host"
    return f"{host[:50]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def orchestrator_lock(settings: Settings) -> FileLock:
    """Return the lock that allows only one orchestrator on a SQLite database."""
    return FileLock(make_data_folder(settings.data) / "orchestrator.lock")


async def run_orchestrator(settings: Settings, *, orchestrator_id: str, replaces: str | None = None) -> None:
    """Serve the database, or some shards of it, until stopped.

    Raises AlreadyServed when another orchestrator serves the same SQLite database, and FolderReplaced when
    what it serves was moved away.

    orchestrator_id: a new name for every start.
    replaces: the dead orchestrator that this process replaces; its lease is not waited for.
    """
    arm_failpoints(settings)
    hook = audit_hook(settings)
    make_data_folder(settings.data)
    lock = orchestrator_lock(settings)
    alone = settings.database.startswith("sqlite")
    if alone and not lock.acquire():
        pid = lock.note().get("pid", "unknown")
        raise AlreadyServed(
            f"another orchestrator (process {pid}) serves {settings.data}; a SQLite database allows only "
            "one. Use PostgreSQL (DATABASE_URL) for several."
        )
    database = await open_current_database(settings)
    bus = await _checked_bus(settings)
    artifacts = make_artifacts(settings)
    # Every earlier orchestrator of a SQLite database is dead, because the lock was free.
    gone = None if alone else frozenset([replaces] if replaces else [])
    orchestrator = make_orchestrator(
        settings, database, bus, artifacts, orchestrator_id=orchestrator_id, gone=gone
    )
    log_of_decisions = make_client(settings, database, via="orchestrator").audit
    _serve_metrics(settings, "orchestrator")
    on_stop_signals(orchestrator.stop)
    freeze_heap()
    log.info("orchestrator_started", pid=os.getpid())
    served = served_paths(settings)
    try:
        async with anchored(log_of_decisions, artifacts, hook):
            await served.during(orchestrator.run())
    finally:
        served.close()
        await artifacts.close()
        await bus.close()
        await database.close()
        lock.release()
    log.info("orchestrator_stopped")


async def _checked_bus(settings: Settings) -> MessageBus:
    """Make the bus. Refuses a server that may evict messages; an unavailable server is not an error."""
    with suppress(BusUnavailable):
        return await connect_bus(settings)
    return make_bus(settings)


async def run_sandbox_host(settings: Settings, *, host_id: str) -> None:
    """Run programs for the workers until stopped. Raises SandboxUnavailable when no sandbox works here."""
    arm_failpoints(settings)
    async with AsyncExitStack() as stack:
        bus = make_bus(settings)
        stack.push_async_callback(bus.close)
        sandbox = await choose_sandbox(sandbox_settings(settings))
        stack.push_async_callback(sandbox.close)
        served, store = make_served(settings, sandbox) or (None, None)
        if store is not None:
            stack.push_async_callback(store.close)
        host = make_sandbox_host(settings, bus, sandbox, host_id, served)
        _serve_metrics(settings, "sandbox_host")
        on_stop_signals(host.stop)
        log.info("sandbox_host_started", host_id=host_id, pid=os.getpid(), backend=sandbox.backend)
        await host.run()
    log.info("sandbox_host_stopped", host_id=host_id)


def _serve_metrics(settings: Settings, process: str) -> None:
    # How to count must be known before this is imported; see metrics_server.
    from multi_agent.runtime.observing.build_info import BuildInfo  # noqa: PLC0415

    BuildInfo().show(process)
    if settings.metrics_port is not None:
        serve_metrics(settings.metrics_host, settings.metrics_port)
