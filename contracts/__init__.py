"""Documents, messages, ports and errors that every other package speaks.

Every name is imported from its module when it is first asked for, so that a command that needs only an error
does not wait for the models of all documents. `get_message_bus(url=None)` gives a bus for callers without
asyncio (multi_agent.facade.message_bus).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from contracts.base.provided import provided

if TYPE_CHECKING:
    from contracts.base.errors import (
        AgentFailure,
        ArtifactError,
        BusUnavailable,
        DecodeError,
        GroupMissing,
        InvalidDocument,
        InvalidInput,
        InvalidPlan,
        MergeConflict,
        ModelError,
        ModelRefused,
        ModelRejected,
        ModelUnavailable,
        MultiAgentError,
        NotConfigured,
        Problem,
        ReplayMiss,
        SandboxUnavailable,
        StoreUnavailable,
        Unavailable,
        UnsafePath,
    )
    from contracts.base.model import SCHEMA_VERSION
    from contracts.documents.plan_checks import PlanLimits, check_plan, parse_plan, topological_order
    from contracts.documents.reports import (
        ArtifactMetadata,
        BuildReport,
        CodeArtifacts,
        Contract,
        ReviewReport,
        TestReport,
    )
    from contracts.documents.todo_list import Role, TodoItem, TodoList
    from contracts.messages.channels import SHARDS, Channels
    from contracts.messages.events import EVENT_DATA, EventType, TaskEvent, decode, encode
    from contracts.ports.artifacts import CommitStore
    from contracts.ports.bus import MessageBus
    from contracts.ports.exchanges import ExchangeStore
    from contracts.ports.model import ModelClient
    from contracts.ports.sandbox import Sandbox

__all__ = [
    "EVENT_DATA",
    "SCHEMA_VERSION",
    "SHARDS",
    "AgentFailure",
    "ArtifactError",
    "ArtifactMetadata",
    "BuildReport",
    "BusUnavailable",
    "Channels",
    "CodeArtifacts",
    "CommitStore",
    "Contract",
    "DecodeError",
    "EventType",
    "ExchangeStore",
    "GroupMissing",
    "InvalidDocument",
    "InvalidInput",
    "InvalidPlan",
    "MergeConflict",
    "MessageBus",
    "ModelClient",
    "ModelError",
    "ModelRefused",
    "ModelRejected",
    "ModelUnavailable",
    "MultiAgentError",
    "NotConfigured",
    "PlanLimits",
    "Problem",
    "ReplayMiss",
    "ReviewReport",
    "Role",
    "Sandbox",
    "SandboxUnavailable",
    "StoreUnavailable",
    "TaskEvent",
    "TestReport",
    "TodoItem",
    "TodoList",
    "Unavailable",
    "UnsafePath",
    "check_plan",
    "decode",
    "encode",
    "get_message_bus",
    "parse_plan",
    "topological_order",
]

_HOMES: Final = {
    "contracts.base.errors": (
        "AgentFailure",
        "ArtifactError",
        "BusUnavailable",
        "DecodeError",
        "GroupMissing",
        "InvalidDocument",
        "InvalidInput",
        "InvalidPlan",
        "MergeConflict",
        "ModelError",
        "ModelRefused",
        "ModelRejected",
        "ModelUnavailable",
        "MultiAgentError",
        "NotConfigured",
        "Problem",
        "ReplayMiss",
        "SandboxUnavailable",
        "StoreUnavailable",
        "Unavailable",
        "UnsafePath",
    ),
    "contracts.base.model": ("SCHEMA_VERSION",),
    "contracts.documents.plan_checks": ("PlanLimits", "check_plan", "parse_plan", "topological_order"),
    "contracts.documents.reports": (
        "ArtifactMetadata",
        "BuildReport",
        "CodeArtifacts",
        "Contract",
        "ReviewReport",
        "TestReport",
    ),
    "contracts.documents.todo_list": ("Role", "TodoItem", "TodoList"),
    "contracts.messages.channels": ("SHARDS", "Channels"),
    "contracts.messages.events": ("EVENT_DATA", "EventType", "TaskEvent", "decode", "encode"),
    "contracts.ports.artifacts": ("CommitStore",),
    "contracts.ports.bus": ("MessageBus",),
    "contracts.ports.exchanges": ("ExchangeStore",),
    "contracts.ports.model": ("ModelClient",),
    "contracts.ports.sandbox": ("Sandbox",),
}

_provided: Final = provided(__name__, "get_message_bus")


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` from its home. Raises AttributeError for any other."""
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        return _provided(name)
    value = globals()[name] = getattr(import_module(home), name)
    return value
