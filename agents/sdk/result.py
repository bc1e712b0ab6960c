"""What an agent hands in, and what a class must offer to be one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from contracts.base.model import Document
from contracts.messages.events import TestSummary

if TYPE_CHECKING:
    from agents.sdk.task import Task

_NO_FILES: Mapping[str, bytes | str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AgentResult:
    """The outcome of a task that succeeded.

    files: path -> new content (text is stored as UTF-8), None deletes the file. Every path must be covered by
    the request's `writable` patterns.
    report: the document the task produced; it is stored in the commit's metadata, and later tasks read it as
    `task.reports[task_id]`. It should hold no time, machine path or random id: the same work reads the same.
    verdict: what a check said; a check that ran and said "failed" is still a task that succeeded.
    """

    files: Mapping[str, bytes | str | None] = field(default_factory=lambda: _NO_FILES)
    report: Document | None = None
    verdict: Literal["passed", "failed"] | None = None
    summary: str = ""
    tests: TestSummary | None = None
    backend: str = ""


class Agent(Protocol):
    """An agent: made anew, without arguments, for each execution.

    `run` raises AgentFailure when the goal cannot be reached, and lets errors of the model and the sandbox
    pass. It is cancelled when its task is recalled or runs out of time.
    """

    async def run(self, task: Task) -> AgentResult: ...
