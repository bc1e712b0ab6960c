"""A plan as a directed acyclic graph of tasks."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.base.model import Document, Identifier, LongText, Model, PathText, ShortText


class Role(StrEnum):
    """The roles that ship. A plan may name any role that an agent serves."""

    ARCHITECT = "architect"
    CODER = "coder"
    TESTER = "tester"
    DEBUGGER = "debugger"
    REVIEWER = "reviewer"
    PLANNER = "planner"


RoleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]


class AcceptanceTest(Model):
    """A command that must exit 0 in the sandbox."""

    cmd: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="a command line such as 'pytest tests/test_sma.py'; no shell runs it"
    )
    timeout_seconds: int = Field(default=60, ge=1, le=3600)


class ValidationRule(Model):
    """A check of the produced files beyond tests."""

    type: Literal["python_syntax", "json_schema", "command"]
    command: Annotated[str, StringConstraints(max_length=500)] = ""


class AcceptanceCriteria(Model):
    """When a task counts as done."""

    tests: tuple[AcceptanceTest, ...] = Field(default=(), max_length=20)
    validation_rules: tuple[ValidationRule, ...] = Field(default=(), max_length=20)


class TodoItem(Model):
    """One task of a plan."""

    task_id: Identifier
    title: ShortText
    description: LongText = ""
    agent_role: RoleName
    dependencies: tuple[Identifier, ...] = Field(default=(), max_length=1_000)
    input_artifacts: tuple[PathText, ...] = Field(default=(), max_length=200)
    output_artifacts: tuple[PathText, ...] = Field(
        default=(), max_length=200, description="files, or folders ending in '/', that this task may write"
    )
    acceptance_criteria: AcceptanceCriteria = AcceptanceCriteria()
    max_retries: int = Field(default=2, ge=0, le=20, description="further attempts after a failed one")
    timeout_seconds: int = Field(default=600, ge=1, le=86_400, description="for one attempt")
    requires_approval: bool = Field(default=False, description="a person must approve before it starts")
    priority: int = Field(
        default=0, ge=-100, le=100, description="higher goes first among tasks that are ready"
    )
    max_cycles: int = Field(
        default=2, ge=0, le=10, description="test-debug cycles after a failing test report"
    )
    required_tag: Identifier | None = Field(default=None, description="capability that the agent must offer")


class TodoList(Document):
    """A plan."""

    # contracts.documents.plan_checks has the checks beyond this schema.

    todo_list_id: Identifier
    request: LongText = Field(description="the request in the user's words")
    items: tuple[TodoItem, ...] = Field(min_length=1, max_length=100_000)
