"""What messages between processes carry; contracts.messages.events puts it into envelopes."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from contracts.base.model import CommitName, Entries, Identifier, LongText, Model, PathText, ShortText
from contracts.documents.failure import TestFailure
from contracts.documents.reports import ReviewFinding
from contracts.documents.repository_settings import RepositorySettings
from contracts.documents.todo_list import RoleName, TodoItem, TodoList
from contracts.messages.approvals import Permits
from contracts.messages.budget import Grant, Spent
from contracts.messages.channels import StreamName
from contracts.messages.suspension import ResumeFrom, Suspension

MAX_LOGS = 8_000
_MOST_STAND_INS: Final = 20

_OUTAGES: Final = frozenset({"sandbox_unavailable", "store_unavailable", "bus_unavailable", "unavailable"})


class TaskRequest(Model):
    """A dispatch: one attempt of one task, for any worker that reads it."""

    dispatch_id: Identifier = Field(description="names this dispatch; a repeated publication repeats it")
    reply_to: StreamName = Field(description="stream that expects the outcome")
    attempt: int = Field(ge=1)
    cycle: int = Field(
        default=0, ge=0, description="test-debug cycle this task belongs to, 0 is the plan's own"
    )
    created_at: int = Field(ge=0, description="seconds since 1970 UTC; the time of the resulting commit")
    request: LongText
    item: TodoItem
    parents: Entries[CommitName] = Field(default=(), max_length=1_000)
    writable: Entries[PathText] = Field(default=(), description="files, or folders ending in '/'")
    base_commit: CommitName | None = Field(
        default=None, description="what the workflow started from, None for nothing"
    )
    repository: RepositorySettings | None = Field(
        default=None, description="what that says about work in it, None for nothing"
    )
    questions: int | None = Field(
        default=None, ge=1, description="how many more a person may be asked; None for none, or for nobody"
    )
    resume_from: ResumeFrom | None = Field(
        default=None, description="with what a task goes on that was suspended"
    )
    grant: Grant | None = Field(default=None, description="what it may spend, None for no limit")
    permits: Permits | None = Field(
        default=None, description="calls of tools that a person must allow, None for none"
    )


class TaskError(Model):
    """Why an attempt failed. `code` is for programs, `message` for people."""

    code: Identifier
    message: LongText
    retryable: bool = True

    @property
    def outage(self) -> bool:
        """Whether something that the attempt needed was unavailable, so that the task is not to blame.

        An unavailable model does not count: asking it again may cost money, so it uses up retries.
        """
        return self.retryable and self.code in _OUTAGES


class Usage(Model):
    """What an attempt consumed."""

    model_calls: int = Field(default=0, ge=0)
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cost_usd: float = Field(default=0.0, ge=0)
    cached_input_tokens: int | None = Field(
        default=None,
        ge=0,
        # Releases before it refuse fields that they do not know.
        exclude_if=lambda count: count is None,
        description="of the input tokens, those that the service had from an earlier request; null for none",
    )
    stand_ins: dict[ShortText, Annotated[int, Field(ge=0)]] | None = Field(
        default=None,
        max_length=_MOST_STAND_INS,
        exclude_if=lambda count: count is None,
        description="of the calls, those that other models of a list answered than its first; null for none",
    )

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        cached = (self.cached_input_tokens or 0) + (other.cached_input_tokens or 0)
        stood_in = Counter(self.stand_ins or {}) + Counter(other.stand_ins or {})
        return Usage(
            model_calls=self.model_calls + other.model_calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            cached_input_tokens=cached or None,
            stand_ins=dict(stood_in.most_common(_MOST_STAND_INS)) or None,
        )


class TestSummary(Model):
    """The numbers of a test report."""

    __test__ = False

    passed: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    coverage_percent: float | None = None
    failure: TestFailure | None = Field(default=None, description="the first thing that did not pass")
    apart: int | None = Field(default=None, ge=0, description="how many passed apart from the code they test")
    flaky: Entries[ShortText] | None = Field(
        default=None,
        max_length=20,
        description="tests that failed, passed when the same was run again, and were there before this work",
    )
    untested: bool | None = Field(
        default=None,
        description="true where no test of the work was there, so that nothing shows what it does",
    )


class ReviewSummary(Model):
    """What a review says, its gravest findings first."""

    approved: bool
    findings: Entries[ReviewFinding] = Field(default=(), max_length=50)


class PlanWanted(Model):
    """Why an agent that was given a whole request asks for a plan of it."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=4_000)]
    found: Annotated[str, StringConstraints(max_length=20_000)] = Field(
        default="", description="what it learnt that whoever plans should know"
    )


class Contested(Model):
    """Tests that an agent calls wrong, by the request and the contract."""

    tests: Entries[ShortText] = Field(min_length=1, max_length=10, description="their ids")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=4_000)]
    of_repository: bool = Field(
        default=False, description="whether one was there before the workflow, so that a person decides"
    )


class TaskOutcome(Model):
    """The outcome of one execution of one dispatch.

    A test task that ran its tests has succeeded even if tests failed; `verdict` says whether they passed. One
    that is suspended has left all it did in the artifact store, and goes on there.
    """

    dispatch_id: Identifier
    execution_id: Identifier
    worker_id: Identifier
    status: Literal["succeeded", "failed", "suspended"]
    commit: CommitName | None = None
    verdict: Literal["passed", "failed"] | None = None
    summary: Annotated[str, StringConstraints(max_length=2_000)] = ""
    tests: TestSummary | None = None
    review: ReviewSummary | None = None
    backend: Annotated[str, StringConstraints(max_length=100)] = ""
    error: TaskError | None = None
    contested: Contested | None = Field(
        default=None, description="what a fix found wrong instead of the code"
    )
    plan_wanted: PlanWanted | None = Field(default=None, description="of a task that needs a plan first")
    plan: TodoList | None = Field(default=None, description="of a task that planned")
    suspended: Suspension | None = Field(default=None, description="what a suspended task waits for")
    usage: Usage = Usage()
    spent: Spent | None = Field(
        default=None, description="of what was granted; None where it is not known, or nothing was granted"
    )
    seconds: float = Field(default=0.0, ge=0)


class Execution(Model):
    """A dispatch that a worker holds. `started` is false while it waits for a free slot."""

    dispatch_id: Identifier
    execution_id: Identifier
    started: bool
    workflow_id: Identifier | None = Field(
        default=None, description="tells the orchestrators whose dispatch it is"
    )


class Heartbeat(Model):
    """A sign of life of a worker: what it serves and what it holds."""

    worker_id: Identifier
    host: ShortText
    pid: int
    roles: Entries[RoleName]
    streams: Entries[StreamName] = Field(description="request streams it reads")
    slots: int = Field(ge=1)
    sequence: int = Field(ge=0)
    executions: Entries[Execution] = ()
    keeper_id: Identifier | None = Field(
        default=None,
        description="process that holds this one, ends it, and dies with it; None for a worker alone",
    )


class WorkerLeft(Model):
    """A worker ended: it stopped and handed back unfinished work, or its supervisor saw it die."""

    worker_id: Identifier
    reason: Literal["stopped", "died"]
    handed_back: Entries[Identifier] = Field(default=(), description="dispatch ids to give to others")
    logs: Annotated[str, StringConstraints(max_length=MAX_LOGS)] | None = Field(
        default=None, description="what a dead worker logged last, when its supervisor knows"
    )


class Control(Model):
    """What an orchestrator tells one worker."""

    acknowledged: Entries[Identifier] = Field(default=(), description="execution ids whose outcome is stored")
    recalled: Entries[Identifier] = Field(default=(), description="dispatch ids that are no longer current")
    confirmed: Entries[Identifier] | None = Field(
        default=None, description="dispatch ids listed as not started that are current"
    )


class DeadLetteredMessage(Model):
    """A message that could not be read, in base64, with the reason."""

    stream: StreamName
    reason: LongText
    raw_base64: str


class WorkflowNotice(Model):
    """A hint that a workflow changed; the journal in the database says what changed."""

    workflow_id: Identifier
    status: ShortText


class CommandNotice(Model):
    """A hint that the commands table has a new entry."""

    command_id: Identifier
