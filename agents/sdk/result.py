"""The result of an agent, and the interface that an agent implements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from contracts.base.model import Document
from contracts.documents.todo_list import TodoList
from contracts.messages.payloads import Contested, PlanWanted, ReviewSummary, TestSummary

if TYPE_CHECKING:
    from agents.sdk.task import Task

_NO_FILES: Mapping[str, bytes | str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AgentResult:
    """The outcome of a task that succeeded."""

    files: Mapping[str, bytes | str | None] = field(default_factory=lambda: _NO_FILES)
    """path -> new content (text is stored as UTF-8), None deletes the file.

    Every path must be covered by the request's `writable` patterns.
    """
    report: Document | None = None
    """The document that the task produced.

    It is stored in the commit's metadata, and later tasks read it as `task.reports[task_id]`. It should
    contain no time, machine path or random id, so that the same work gives the same report.
    """
    verdict: Literal["passed", "failed"] | None = None
    """The result of a check. A task whose check ran and said "failed" has still succeeded."""
    summary: str = ""
    """One line for people."""
    tests: TestSummary | None = None
    """Counts of the tests that ran."""
    review: ReviewSummary | None = None
    """Approval and findings of a review."""
    backend: str = ""
    """The sandbox backend that ran the task's programs."""
    contested: Contested | None = None
    """Tests that are wrong instead of the code; of a fix."""
    plan_wanted: PlanWanted | None = None
    """Set when a planner must be asked first; of an agent that was given the whole request."""
    plan: TodoList | None = None
    """The plan that a planner made, with whose tasks the workflow goes on."""


class Agent(Protocol):
    """An agent. It is constructed, without arguments, for each execution.

    `run` raises AgentFailure when the goal cannot be reached, and does not catch errors of the model and the
    sandbox. It is cancelled when its task is recalled or exceeds its timeout.
    """

    async def run(self, task: Task) -> AgentResult: ...
