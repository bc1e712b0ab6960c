"""Documents, messages, ports and errors that every other package speaks.

`get_message_bus` is resolved at first use, so that importing this package loads no Redis client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from contracts.bus.connect import get_message_bus

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


def __getattr__(name: str) -> object:
    if name != "get_message_bus":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from contracts.bus.connect import get_message_bus  # noqa: PLC0415  # loads the Redis client only when asked for

    return get_message_bus
