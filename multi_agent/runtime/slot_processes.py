"""A worker: a keeper in this process, a fork server that has imported everything, and slot processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import structlog

from agents.keeper.judgement import Limits
from agents.keeper.keeper import Keeper, KeeperSettings
from agents.keeper.processes import SlotOrder
from agents.keeper.slot import SlotPlan, plan_slots
from agents.worker.board import Board, board_bytes
from agents.worker.lanes import Lane, Reading
from contracts.base.errors import MultiAgentError
from contracts.ports.bus import MessageBus
from multi_agent.bootstrap import (
    arm_failpoints,
    find_agents,
    host_name,
    make_artifacts,
    make_bus,
    make_model,
    make_worker,
)
from multi_agent.runtime.fork_server import ForkServer
from multi_agent.runtime.forked_children import Become
from multi_agent.runtime.log_tail import own_last_lines
from multi_agent.runtime.stopping import on_stop_signals
from multi_agent.settings import Settings

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

log = structlog.get_logger(__name__)


def run_worker(settings: Settings, *, worker_id: str, roles: Sequence[str], modules: Sequence[str]) -> None:
    """Execute tasks of the roles until stopped. To be called in the main thread, without an event loop."""
    arm_failpoints(settings)
    bus = make_bus(settings)
    boards = os.memfd_create("slot-boards")
    server = ForkServer(lambda: _prepare(settings, roles, modules, boards))
    try:
        readings = {Lane(lane): _reading(fields) for lane, fields in server.ready().items()}
        plans = plan_slots(readings.__getitem__, settings.slots, board_bytes)
        os.ftruncate(boards, sum(board_bytes(plan.places) for plan in plans))
        slots = [(plan, Board(boards, plan.board_at, plan.places)) for plan in plans]
        asyncio.run(_keep(settings, worker_id, bus, server, slots))
    finally:
        server.close()
        os.close(boards)


async def _keep(
    settings: Settings,
    keeper_id: str,
    bus: MessageBus,
    server: ForkServer,
    slots: Sequence[tuple[SlotPlan, Board]],
) -> None:
    wanted = KeeperSettings(
        keeper_id,
        host_name(),
        heartbeat_seconds=settings.lease_seconds / 3,
        limits=Limits(memory_bytes=settings.worker_memory_mb << 20),
        read_logs=own_last_lines,
    )
    keeper = Keeper(bus, ForkedSlots(server), slots, resident_bytes, wanted)
    on_stop_signals(keeper.stop)
    log.info("worker_started", worker_id=keeper_id, pid=os.getpid())
    try:
        await keeper.run()
    finally:
        await bus.close()
    log.info("worker_stopped", worker_id=keeper_id)


class ForkedSlots:
    """agents.keeper.processes.SlotProcesses over a fork server."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self.listen: Callable[[Callable[[int, int], None], Callable[[], None]], None] = server.listen
        self.signal: Callable[[int, int], None] = server.signal

    async def start(self, order: SlotOrder) -> int:
        return await self._server.start(order.worker_id, asdict(order))


def resident_bytes(pid: int) -> int:
    """The resident memory of a process; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


# --- in the fork server


def _prepare(
    settings: Settings, roles: Sequence[str], modules: Sequence[str], boards: int
) -> tuple[Any, Become]:
    """Import everything, and find the mistakes that all slot processes would find."""
    from agents.sdk.registry import AgentTable  # noqa: PLC0415 - the keeper imports no agents

    agents = find_agents(modules)
    table = AgentTable.of(agents, roles)
    make_artifacts(settings)
    make_model(settings)
    facts = {lane: asdict(Reading.of(table, lane)) for lane in Lane}
    return facts, lambda order: _become(settings, agents, roles, boards, order)


def _become(
    settings: Settings, agents: Sequence[type], roles: Sequence[str], boards: int, fields: dict[str, Any]
) -> int:
    order = SlotOrder(**{**fields, "lane": Lane(fields["lane"])})
    board = Board(boards, order.board_at, order.places)
    structlog.contextvars.bind_contextvars(worker_id=order.worker_id)
    arm_failpoints(settings)
    try:
        return asyncio.run(_run_slot(settings, order, agents, roles, board))
    except MultiAgentError as error:
        board.fail(error)
        return 1


async def _run_slot(
    settings: Settings, order: SlotOrder, agents: Sequence[type], roles: Sequence[str], board: Board
) -> int:
    bus = make_bus(settings)
    worker, close = make_worker(settings, bus, order, agents, roles=roles, board=board)
    on_stop_signals(worker.stop)
    try:
        await worker.run()
    finally:
        await close()
        await bus.close()
    return 0


def _reading(fields: dict[str, Any]) -> Reading:
    return Reading(**{name: tuple(value) for name, value in fields.items()})
