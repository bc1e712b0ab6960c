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
from agents.keeper.processes import Exited, SlotOrder
from agents.keeper.slot import SlotPlan, plan_slots
from agents.worker.board import Board, board_bytes
from agents.worker.lanes import Lane, Reading
from contracts.messages.payloads import TaskOutcome
from contracts.ports.bus import MessageBus
from multi_agent.bootstrap import arm_failpoints, host_name, make_bus, make_windows
from multi_agent.runtime.forking.fork_server import ForkServer
from multi_agent.runtime.log_tail import own_last_lines
from multi_agent.runtime.observing.shared_metrics import SharedMetrics, counted_together
from multi_agent.runtime.slot_process import SlotSettings, prepare
from multi_agent.runtime.stopping import on_stop_signals
from multi_agent.settings import Settings

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

log = structlog.get_logger(__name__)


def run_worker(settings: Settings, *, worker_id: str, roles: Sequence[str], modules: Sequence[str]) -> None:
    """Execute tasks of the roles until stopped. To be called in the main thread, without an event loop."""
    arm_failpoints(settings)
    bus = make_bus(settings)
    boards = os.memfd_create("slot-boards")
    port = settings.metrics_port
    metrics = None if port is None else SharedMetrics(settings.metrics_host, port)
    wanted = SlotSettings(settings, roles, modules, boards, make_windows(settings))
    server = ForkServer(lambda: prepare(wanted))
    try:
        readings = {Lane(lane): _reading(fields) for lane, fields in server.ready().items()}
        plans = plan_slots(readings.__getitem__, settings.slots, board_bytes)
        os.ftruncate(boards, sum(board_bytes(plan.places) for plan in plans))
        slots = [(plan, Board(boards, plan.board_at, plan.places)) for plan in plans]
        asyncio.run(_keep(_keeper_settings(settings, worker_id, metrics), bus, _Slots(server), slots))
    finally:
        server.close()
        os.close(boards)
        if metrics is not None:
            metrics.close()


def _keeper_settings(settings: Settings, keeper_id: str, metrics: SharedMetrics | None) -> KeeperSettings:
    count: Callable[[str, TaskOutcome], None] = lambda _role, _outcome: None  # noqa: E731
    if metrics is not None:
        metrics.serve()
    if counted_together():
        from agents.worker.metrics import WorkerMetrics  # noqa: PLC0415 - see SharedMetrics
        from multi_agent.runtime.observing.build_info import BuildInfo  # noqa: PLC0415

        BuildInfo().show("worker")
        count = WorkerMetrics().finished
    return KeeperSettings(
        keeper_id,
        host_name(),
        heartbeat_seconds=settings.lease_seconds / 3,
        limits=Limits(memory_bytes=settings.worker_memory_mb << 20),
        read_logs=own_last_lines,
        count=count,
    )


async def _keep(
    wanted: KeeperSettings, bus: MessageBus, processes: _Slots, slots: Sequence[tuple[SlotPlan, Board]]
) -> None:
    keeper = Keeper(bus, processes, slots, resident_bytes, wanted)
    on_stop_signals(keeper.stop)
    log.info("worker_started", worker_id=wanted.keeper_id, pid=os.getpid())
    try:
        await keeper.run()
    finally:
        await bus.close()
    log.info("worker_stopped", worker_id=wanted.keeper_id)


class _Slots:
    """agents.keeper.processes.SlotProcesses over a fork server."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server

    def listen(self, exited: Exited, lost: Callable[[], None]) -> None:
        self._server.listen(exited, lost)

    async def start(self, order: SlotOrder) -> int:
        return await self._server.start(order.worker_id, asdict(order))

    def signal(self, pid: int, number: int) -> None:
        self._server.signal(pid, number)


def resident_bytes(pid: int) -> int:
    """The resident memory of a process; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _reading(fields: dict[str, Any]) -> Reading:
    return Reading(**{name: tuple(value) for name, value in fields.items()})
