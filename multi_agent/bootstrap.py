"""The one place where adapters are chosen and put together."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.base.errors import NotConfigured
from contracts.base.processes.command_lines import command_line
from contracts.ports.bus import BroadcastPort, MessageBus
from contracts.ports.model import ModelClient
from contracts.ports.sandbox import Sandbox
from multi_agent.application.data_folder import make_data_folder
from multi_agent.settings import Settings, load_settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from artifacts.store.repository import Repository
    from multi_agent.models import Asked, ModelSettings
    from multi_agent.models.layers.rate_limit import RequestWindow
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.service.orchestrator import OrchestratorService
    from orchestrator.storage.sql.database import Database
    from planner_service.planning import Planner
    from sandbox_runner import SandboxSettings
    from sandbox_runner.service.host import Host

# Each part is imported where it is built: the command line must not load a database to print its help.
# ruff: noqa: PLC0415


SCRATCH_MARK = "chaos-scratch"
_ADDED_BYTES = 50_000_000
HOST = "host"
"""The value of the setting `sandbox` with which programs run at sandbox hosts."""


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


def make_private_bus() -> MessageBus:
    """A bus within this process that nothing else hears."""
    from contracts.bus.connect import open_message_bus

    return open_message_bus("memory://")


def make_bus(settings: Settings) -> MessageBus:
    """The bus. Raises NotConfigured when no URL is known."""
    from contracts.bus.connect import open_message_bus

    if settings.redis_url is None:
        raise NotConfigured(
            f"no Redis is known: set REDIS_URL, or use `{command_line('up')}`, which starts a private one"
        )
    return open_message_bus(settings.redis_url.get_secret_value())


async def connect_bus(settings: Settings) -> MessageBus:
    """The bus, whose server answers and never evicts messages. Raises BusUnavailable, NotConfigured."""
    from contracts.bus.connect import connect_message_bus

    if settings.redis_url is None:
        return make_bus(settings)
    return await connect_message_bus(settings.redis_url.get_secret_value())


def make_database(settings: Settings) -> Database:
    """The database, as it is; see `upgrade_database`."""
    from orchestrator.storage.sql.database import open_database

    make_data_folder(settings.data)
    return open_database(settings.database)


async def is_current(database: Database) -> bool:
    """Whether its tables are those of this version. Alembic, slow to load, is needed only where not."""
    from orchestrator.storage.sql.database import is_current

    return await is_current(database)


def upgrade_database(settings: Settings) -> None:
    """Bring the database to the current revision."""
    from orchestrator.storage.migrate import upgrade

    make_data_folder(settings.data)
    upgrade(settings.database)


def create_artifacts(settings: Settings) -> None:
    """Create the artifact store, if it is one at a path that does not exist."""
    from artifacts import create_store

    if settings.artifact_store is None:
        make_data_folder(settings.data)
    if "://" not in settings.artifacts:
        create_store(Path(settings.artifacts))


def make_artifacts(settings: Settings) -> GitArtifactStore:
    """The artifact store; one at a path is created when it does not exist."""
    from artifacts import open_store

    create_artifacts(settings)
    # Tasks add files to what a repository has.
    tree_bytes = settings.max_repository_mb * 1_000_000 + _ADDED_BYTES
    return open_store(settings.artifacts, settings.data / "artifact-cache", tree_bytes=tree_bytes)


def make_local_artifacts(path: Path) -> Repository:
    """The store at a path, for callers without asyncio; it is created when it does not exist."""
    from artifacts.git.creation import create_store
    from artifacts.store.repository import Repository

    return Repository(create_store(path))


def make_window(settings: Settings) -> RequestWindow | None:
    """What counts requests to models, also of processes forked from this one; None without a limit."""
    from multi_agent.models.layers.shared_window import SharedWindow

    return SharedWindow(settings.requests_per_minute) if settings.requests_per_minute else None


def make_model(settings: Settings, window: RequestWindow | None = None) -> ModelClient:
    """The model client that the settings name. Raises NotConfigured."""
    from multi_agent.models import build_model

    return build_model(model_settings(settings, window))


async def check_model(settings: Settings, asked: Asked | None = None) -> None:
    """Check the model before anything starts that needs it.

    asked: None where it is not known yet what the model will be asked.
    Raises NotConfigured, and ModelUnavailable when its service is away now.
    """
    from multi_agent.models import check_model

    is_chosen = settings.model is not None or settings.model_spec != "replay"
    await check_model(model_settings(settings), is_chosen=is_chosen, asked=asked)


def model_settings(settings: Settings, window: RequestWindow | None = None) -> ModelSettings:
    """The model's part of the settings."""
    from multi_agent.models import ModelSettings, told

    return ModelSettings(
        spec=settings.model_spec,
        gemini_api_key=settings.gemini_api_key,
        gemini_base_url=settings.gemini_base_url,
        openai_api_key=settings.openai_api_key,
        openai_base_url=settings.openai_base_url,
        timeout_seconds=settings.model_timeout_seconds,
        requests_per_minute=settings.requests_per_minute,
        window=window,
        input_usd_per_million=settings.input_price,
        output_usd_per_million=settings.output_price,
        told=told(
            settings.max_output_tokens,
            settings.max_output_tokens_name,
            settings.model_temperature,
            settings.model_schema,
        ),
        memory=settings.data / "models",
        proxies=settings.proxies,
        redact=settings.redactor,
    )


def sandbox_settings(settings: Settings, at_once: int | None = None) -> SandboxSettings:
    """The sandbox's part of the settings; `at_once` programs, by default as many as there are slots."""
    from sandbox_runner import SandboxSettings

    defaults = SandboxSettings()
    return SandboxSettings(
        backend=settings.host_sandbox if settings.sandbox == HOST else settings.sandbox,
        docker_host=settings.docker_host,
        image=settings.sandbox_image or defaults.image,
        runtime=settings.sandbox_runtime,
        toolbox=settings.data / "toolbox",
        max_concurrent=at_once or settings.slots,
        warm=settings.sandbox_warm,
    )


async def choose_sandbox(settings: SandboxSettings) -> Sandbox:
    """The strongest ready backend of this machine. Raises SandboxUnavailable without one."""
    from sandbox_runner import choose_sandbox

    return await choose_sandbox(settings)


def make_sandbox(settings: Settings, bus: MessageBus, caller_id: str, at_once: int | None = None) -> Sandbox:
    """The sandbox of a worker: of this machine, or of the hosts on the bus, which needs no engine here."""
    if settings.sandbox == HOST:
        from sandbox_runner.service.call_policy import CallTimeouts
        from sandbox_runner.service.remote import RemoteSandbox

        return RemoteSandbox(bus, caller_id, timeouts=CallTimeouts(lease=settings.lease_seconds))
    from sandbox_runner.choose import FirstUseSandbox

    wanted = sandbox_settings(settings, at_once)
    return FirstUseSandbox(lambda: choose_sandbox(wanted))


def find_agents(modules: Sequence[str]) -> list[type]:
    """The agents that ship, those installed, and those of `modules`, found in the current folder too."""
    from agents.sdk.registry import discover

    if modules and os.getcwd() not in sys.path:
        # Last, so that a folder of the user's never hides a package of ours.
        sys.path.append(os.getcwd())
    return discover(modules)


def make_planner(settings: Settings, model: ModelClient, modules: Sequence[str] = ()) -> Planner:
    """A planner that knows the roles of all agents that would be found here."""
    from agents.sdk.registry import agent_info
    from contracts.documents.plan_checks import PlanLimits
    from planner_service.planning import PLANNED_ROLES, Planner, PlannerSettings

    return Planner(
        model,
        PlannerSettings(
            limits=PlanLimits(max_tasks=settings.max_tasks),
            known_roles=PLANNED_ROLES | {agent_info(found).role for found in find_agents(modules)},
        ),
    )


def planner_from_environment() -> Planner:
    """What the entry point `planner` of the group `multi_agent.services` gives."""
    settings = load_settings()
    return make_planner(settings, make_model(settings))


def make_client(settings: Settings, database: Database, bus: BroadcastPort | None = None) -> WorkflowClient:
    """Commands, queries and following; with a bus, an orchestrator is woken up after each command."""
    from contracts.base.errors import BusUnavailable
    from contracts.base.identifiers import new_id
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.scheduling.messages import command_notice

    async def hint(command_id: str) -> None:
        if bus is None:
            return
        try:
            await bus.broadcast([command_notice(command_id, message_id=new_id(), now=time.time())])
        except BusUnavailable:
            return

    return WorkflowClient(database, hint, max_open=settings.max_open_workflows)


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


def make_sandbox_host(settings: Settings, bus: MessageBus, sandbox: Sandbox, host_id: str) -> Host:
    """A sandbox host."""
    from dataclasses import replace

    from sandbox_runner.service.admission import MOST
    from sandbox_runner.service.host import Host
    from sandbox_runner.service.metrics import HostMetrics
    from sandbox_runner.service.settings import HostSettings

    most = replace(MOST, wall_seconds=settings.sandbox_max_seconds, memory_mb=settings.sandbox_max_memory_mb)
    wanted = HostSettings(
        host_id,
        host_name(),
        slots=settings.slots,
        most=most,
        heartbeat_seconds=settings.lease_seconds / 6,
        lease_seconds=settings.lease_seconds,
        metrics=HostMetrics(),
    )
    return Host(bus, sandbox, wanted)
