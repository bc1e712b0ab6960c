"""What runs in the fork server and in the slot processes of a worker; see `worker` for the keeper's side."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from agents.keeper.processes import EXIT_LEFT, SlotOrder
from agents.worker.board import Board
from agents.worker.lanes import Lane, Reading
from contracts.base.errors import ModelUnavailable, MultiAgentError
from contracts.base.processes.shortage import shortage_of
from contracts.base.secrets.patterns import without_secret_patterns
from contracts.ports.bus import MessageBus
from multi_agent.bootstrap import (
    arm_failpoints,
    check_model,
    find_agents,
    host_name,
    make_artifacts,
    make_bus,
    make_environments,
    make_index,
    make_model,
    make_worker_sandbox,
    workspace_limits,
)
from multi_agent.runtime.forking.forked_children import Become
from multi_agent.runtime.stopping import on_stop_signals
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from agents.worker.worker import Worker
    from contracts.ports.rates import RateWindow

_PRELOADED: Final = (
    "agents.worker.worker",
    "agents.worker.metrics",
    "multi_agent.telemetry.model_metrics",
    "artifacts",
    "sandbox_runner.choose",
)
GRACE_SECONDS: Final = 6.0
"""How long what runs may go on after `stop`, so that a keeper and all its processes are gone within 10 s."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """What all slot processes of a worker have in common."""

    settings: Settings
    roles: Sequence[str]
    """() serves all that have an agent."""
    modules: Sequence[str]
    """Python modules with further agents."""
    boards: int
    """The file in memory that holds all boards."""
    windows: Mapping[str, RateWindow]
    """By model what counts their requests together."""


def prepare(wanted: SlotSettings) -> tuple[Any, Become]:
    """Import everything, and find the mistakes that each slot process would find.

    The first of what is returned is what each lane reads.
    """
    for name in _PRELOADED:
        importlib.import_module(name)
    # The keeper, from whose process this one was forked, imports no agents.
    from agents.sdk.registry import AgentTable  # noqa: PLC0415

    found = find_agents(wanted.modules)
    table = AgentTable.of(found, wanted.roles)
    make_artifacts(wanted.settings)
    try:
        for line in asyncio.run(check_model(wanted.settings)):
            _log.warning("model_of_list_unusable", reason=line)
    except ModelUnavailable as error:
        _log.warning("model_unavailable", reason=str(error))
    facts = {lane: asdict(Reading.of(table, lane)) for lane in Lane}
    return facts, lambda order: _become(wanted, found, order)


def _become(wanted: SlotSettings, agents: Sequence[type], fields: dict[str, Any]) -> int:
    order = SlotOrder(**{**fields, "lane": Lane(fields["lane"])})
    board = Board(wanted.boards, order.board_at, order.places)
    structlog.contextvars.bind_contextvars(worker_id=order.worker_id)
    try:
        arm_failpoints(wanted.settings)
        return asyncio.run(_run(wanted, agents, order, board))
    except MultiAgentError as error:
        board.fail(error)
        return 1
    except (OSError, RuntimeError) as error:
        short = shortage_of(error)
        if short is None:
            raise
        _log.warning("slot_short_of_resources", reason=short.strerror)
        return EXIT_LEFT


async def _run(wanted: SlotSettings, agents: Sequence[type], order: SlotOrder, board: Board) -> int:
    bus = make_bus(wanted.settings)
    worker, close = _make_worker(wanted, bus, agents, order, board)
    on_stop_signals(worker.stop)
    try:
        await worker.run()
    finally:
        await close()
        await bus.close()
    return EXIT_LEFT if worker.stepped_back else 0


def _make_worker(
    wanted: SlotSettings, bus: MessageBus, agents: Sequence[type], order: SlotOrder, board: Board
) -> tuple[Worker, Callable[[], Awaitable[None]]]:
    """A worker and what closes its services."""
    from agents.worker.execution import WorkerServices  # noqa: PLC0415 - see prepare
    from agents.worker.metrics import WorkerMetrics  # noqa: PLC0415
    from agents.worker.settings import WorkerSettings  # noqa: PLC0415
    from agents.worker.worker import Worker  # noqa: PLC0415
    from multi_agent.telemetry.model_metrics import ModelMetrics  # noqa: PLC0415

    settings = wanted.settings
    artifacts, model = make_artifacts(settings), make_model(settings, wanted.windows, ModelMetrics().seen)
    # Long agents run programs; few others do.
    early = order.lane is Lane.LONG
    sandbox, workspaces = make_worker_sandbox(
        settings, bus, artifacts, order.worker_id, order.slots, early=early
    )
    worker_settings = WorkerSettings(
        worker_id=order.worker_id,
        host=host_name(),
        roles=tuple(wanted.roles),
        slots=order.slots,
        lane=order.lane,
        keeper_id=order.keeper_id,
        board=board,
        lease_seconds=settings.lease_seconds,
        grace_seconds=GRACE_SECONDS,
        metrics=WorkerMetrics(),
        redact=lambda text: without_secret_patterns(settings.redactor(text)),
    )

    services = WorkerServices(
        artifacts,
        model,
        sandbox,
        make_index(settings, artifacts),
        workspaces,
        workspace_limits(settings),
        make_environments(settings, artifacts, workspaces),
    )

    async def close() -> None:
        for part in (workspaces, sandbox, model, artifacts):
            await part.close()

    return Worker(bus, services, agents, worker_settings), close
