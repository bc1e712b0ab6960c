"""What `contracts` offers, and that importing it costs little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import contracts

ROOT = Path(contracts.__file__).parent.parent

OFFERED = [
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

HEAVY = ("redis", "jsonschema", "click", "yaml", "asyncio", "sqlalchemy", "docker", "git")


def test_the_public_names_are_pinned() -> None:
    assert contracts.__all__ == OFFERED


@pytest.mark.parametrize("name", OFFERED)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(contracts, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'get_message_buss'"):
        getattr(contracts, "get_message_buss")  # noqa: B009  # the name is wrong on purpose


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, contracts; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_error_is_imported_without_the_models_of_documents() -> None:
    code = "import sys, contracts; contracts.MultiAgentError; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_documented_import_works() -> None:
    code = "from contracts import get_message_bus, Channels, EventType, TaskEvent; print(get_message_bus)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("<function get_message_bus ")
