"""The one place where adapters are chosen and put together."""

from multi_agent.bootstrap.bus_and_stores import (
    connect_bus,
    create_artifacts,
    make_artifacts,
    make_bus,
    make_database,
    make_local_artifacts,
    make_private_bus,
    open_current_database,
    upgrade_database,
)
from multi_agent.bootstrap.environments import environment_cache, make_environments
from multi_agent.bootstrap.indexes import make_index, open_index
from multi_agent.bootstrap.models import (
    check_model,
    check_price,
    cost_functions,
    make_model,
    make_planner,
    make_windows,
    model_settings,
    planner_from_environment,
)
from multi_agent.bootstrap.sandboxes import (
    HOST,
    choose_sandbox,
    make_sandbox,
    make_sandbox_host,
    sandbox_settings,
)
from multi_agent.bootstrap.services import (
    SCRATCH_MARK,
    arm_failpoints,
    find_agents,
    host_name,
    make_client,
    make_orchestrator,
)
from multi_agent.bootstrap.workspaces import (
    LocalWorkspaces,
    make_served,
    make_worker_sandbox,
    open_workspaces,
    workspace_limits,
)

__all__ = [
    "HOST",
    "SCRATCH_MARK",
    "LocalWorkspaces",
    "arm_failpoints",
    "check_model",
    "check_price",
    "choose_sandbox",
    "connect_bus",
    "cost_functions",
    "create_artifacts",
    "environment_cache",
    "find_agents",
    "host_name",
    "make_artifacts",
    "make_bus",
    "make_client",
    "make_database",
    "make_environments",
    "make_index",
    "make_local_artifacts",
    "make_model",
    "make_orchestrator",
    "make_planner",
    "make_private_bus",
    "make_sandbox",
    "make_sandbox_host",
    "make_served",
    "make_windows",
    "make_worker_sandbox",
    "model_settings",
    "open_current_database",
    "open_index",
    "open_workspaces",
    "planner_from_environment",
    "sandbox_settings",
    "upgrade_database",
    "workspace_limits",
]
