"""Agents, orchestrators, and clients of theirs."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.base.errors import NotConfigured
from contracts.base.processes.command_lines import command_line
from contracts.ports.bus import BroadcastPort, MessageBus
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.service.orchestrator import OrchestratorService
    from orchestrator.storage.sql.database import Database

# Each part is imported where it is built: the command line must not load a database to print its help.
# ruff: noqa: PLC0415

SCRATCH_MARK = "chaos-scratch"
_PLANNER = "multi_agent.bootstrap.planner_agent"
"""Here, since neither of the packages that it joins imports the other."""


def arm_failpoints(settings: Settings) -> None:
    """Set the traps that the settings name. Raises NotConfigured outside a scratch folder."""
    if settings.failpoints is None:
        return
    from contracts.base.failpoints import arm, parse_traps

    if not (settings.data / SCRATCH_MARK).exists():
        raise NotConfigured(
            f"MULTI_AGENT_FAILPOINTS is for the scratch folders of `{command_line('chaos')}`, "
            f"and {settings.data} is none; unset it"
        )
    arm(parse_traps(settings.failpoints), settings.data / "failpoints.log", settings.failpoint_seed)


def find_agents(modules: Sequence[str]) -> list[type]:
    """The agents that ship, those installed, and those of `modules`, found in the current folder too."""
    from agents.sdk.registry import discover

    if modules and os.getcwd() not in sys.path:
        # Last, so that a folder of the user's never hides a package of ours.
        sys.path.append(os.getcwd())
    return discover([_PLANNER, *modules])


def make_client(
    settings: Settings, database: Database, bus: BroadcastPort | None = None, *, via: str = "program"
) -> WorkflowClient:
    """Commands, queries and following; with a bus, an orchestrator is woken up after each command.

    via: where its commands come from, as the audit log says it.
    """
    from contracts.base.errors import BusUnavailable
    from contracts.base.identifiers import new_id
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.core.audit.entries import Via
    from orchestrator.scheduling.messages import command_notice

    async def hint(command_id: str) -> None:
        if bus is None:
            return
        try:
            await bus.broadcast([command_notice(command_id, message_id=new_id(), now=time.time())])
        except BusUnavailable:
            return

    most, day = settings.max_open_workflows, settings.day_budget
    return WorkflowClient(database, hint, max_open=most, via=Via(via), day_usd=day)


def make_orchestrator(
    settings: Settings,
    database: Database,
    bus: MessageBus,
    artifacts: GitArtifactStore,
    *,
    orchestrator_id: str,
    gone: frozenset[str] | None,
) -> OrchestratorService:
    """The orchestrator's loop; `gone` as OrchestratorSettings has it."""
    from orchestrator.service.orchestrator import OrchestratorService, OrchestratorSettings
    from orchestrator.storage.store import Store

    wanted = OrchestratorSettings(orchestrator_id, lease_seconds=settings.lease_seconds, gone=gone)
    return OrchestratorService(Store(database), bus, artifacts, wanted)


def host_name() -> str:
    """The name of this machine."""
    return socket.gethostname() or "localhost"
