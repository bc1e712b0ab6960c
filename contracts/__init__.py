"""Documents, messages, ports and errors that every other package speaks.

`get_message_bus` is resolved at first use, so that importing this package loads no Redis client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.base import SCHEMA_VERSION
from contracts.channels import SHARDS, Channels
from contracts.errors import (
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
    Superseded,
    Unavailable,
    UnsafePath,
)
from contracts.events import EVENT_DATA, EventType, TaskEvent, decode, encode
from contracts.plan_checks import PlanLimits, check_plan, parse_plan, topological_order
from contracts.ports import ArtifactStore, MessageBus, ModelClient, Sandbox
from contracts.reports import (
    ArtifactMetadata,
    BuildReport,
    CodeArtifacts,
    Contract,
    ReviewReport,
    TestReport,
)
from contracts.todo import Role, TodoItem, TodoList

if TYPE_CHECKING:
    from contracts.bus import get_message_bus

__all__ = [
    "EVENT_DATA",
    "SCHEMA_VERSION",
    "SHARDS",
    "AgentFailure",
    "ArtifactError",
    "ArtifactMetadata",
    "ArtifactStore",
    "BuildReport",
    "BusUnavailable",
    "Channels",
    "CodeArtifacts",
    "Contract",
    "DecodeError",
    "EventType",
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
    "Superseded",
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


def __getattr__(name: str) -> object:
    if name != "get_message_bus":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from contracts.bus import get_message_bus  # noqa: PLC0415  # loads the Redis client only when asked for

    return get_message_bus
