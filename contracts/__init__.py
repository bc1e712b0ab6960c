"""Documents, messages, ports and errors that every other package speaks.

`get_message_bus(url=None)` gives a bus for callers without asyncio (multi_agent.facade.message_bus). It is
loaded when asked for, so that importing this package loads no Redis client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
from contracts.base.provided import provided
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

__getattr__: Callable[[str], Any] = provided(__name__, "get_message_bus")
