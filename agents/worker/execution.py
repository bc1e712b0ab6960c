"""One execution of one dispatch: read the base, run the agent, commit, and give the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from agents.sdk.base_tree import read_base
from agents.sdk.exchange_log import ExchangeLog, ExchangeScope
from agents.sdk.questions import said_so_far, suspended_in
from agents.sdk.registry import AgentTable, agent_info
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.sdk.workplace import Workplace
from agents.worker.commits import leaves_something, pending_commit
from agents.worker.failures import lesson, self_cancelled_error, task_error, timeout_error
from agents.worker.ledger import Ledger
from agents.worker.unfinished import unfinished_work
from contracts.base.errors import AgentFailure, InvalidInput, NotConfigured, UnsafePath
from contracts.base.failpoints import failpoint
from contracts.base.processes.bounded_call import SMALL
from contracts.base.processes.shortage import shortage_of
from contracts.base.text import bounded
from contracts.messages.events import TaskEvent
from contracts.messages.payloads import TaskError, TaskOutcome, TaskRequest
from contracts.messages.steps import StepTaken
from contracts.messages.suspension import Suspended
from contracts.ports.artifacts import PendingCommit, WorkerArtifacts
from contracts.ports.code_index import CodeIndex
from contracts.ports.environments import Environments
from contracts.ports.model import PURSE, ModelClient
from contracts.ports.sandbox import Sandbox
from contracts.ports.workspace import (
    NO_ENVIRONMENT,
    USUAL_LIMITS,
    Environment,
    WorkspaceLimits,
    Workspaces,
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """The services that agents work with."""

    artifacts: WorkerArtifacts
    model: ModelClient
    sandbox: Sandbox
    index: CodeIndex | None = None
    """None where agents are given no map of a repository."""
    workspaces: Workspaces | None = None
    """None where there are none."""
    workspace_limits: WorkspaceLimits = USUAL_LIMITS
    environments: Environments | None = None
    """None where programs find nothing of what a repository needs."""


class TaskExecutor:
    """Turns a request into an outcome. Raises nothing but CancelledError."""

    def __init__(
        self,
        services: WorkerServices,
        agents: AgentTable,
        worker_id: str,
        tell_step: Callable[[TaskEvent[TaskRequest], StepTaken], Awaitable[None]],
    ) -> None:
        """`tell_step` is told each step of an agent that works in steps."""
        self._services, self._tell_step = services, tell_step
        self._agents = agents
        self._worker_id = worker_id
        self._fresh = True
        self.is_short = False
        """Whether an execution met a shortage of this process that is not its own doing."""

    async def execute(self, event: TaskEvent[TaskRequest], execution_id: str) -> TaskOutcome:
        """The outcome of the attempt, after item.timeout_seconds at the latest.

        Call it in a task of its own: everything that task logs from here on carries the execution's ids.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        exchanges = self._exchanges(event)
        about = {"workflow_id": event.workflowid, "task_id": event.taskid, "attempt": event.data.attempt}
        structlog.contextvars.bind_contextvars(**about, dispatch_id=event.data.dispatch_id)
        fresh, self._fresh = self._fresh, False
        ledger = self._ledger(event, execution_id)
        PURSE.set(ledger)
        found = await self._attempt(event, exchanges, execution_id, fresh=fresh)
        return TaskOutcome(
            dispatch_id=event.data.dispatch_id,
            execution_id=execution_id,
            worker_id=self._worker_id,
            usage=exchanges.usage,
            spent=None if ledger is None else await ledger.close(started + event.data.item.timeout_seconds),
            seconds=round(clock() - started, 3),
            **found,
        )

    def self_cancelled(self, event: TaskEvent[TaskRequest], execution_id: str) -> TaskOutcome:
        """The outcome of an attempt whose agent cancelled the task it runs in, without its usage and time."""
        error = self_cancelled_error()
        _log.error(
            "agent_crashed",
            reason=error.message,
            workflow_id=event.workflowid,
            task_id=event.taskid,
            dispatch_id=event.data.dispatch_id,
        )
        return TaskOutcome(
            dispatch_id=event.data.dispatch_id,
            execution_id=execution_id,
            worker_id=self._worker_id,
            status="failed",
            error=error,
        )

    def _exchanges(self, event: TaskEvent[TaskRequest]) -> ExchangeLog:
        request = event.data
        scope = ExchangeScope(event.workflowid or "", request.item.task_id, request.attempt)
        return ExchangeLog(scope, self._services.model, self._services.artifacts)

    def _ledger(self, event: TaskEvent[TaskRequest], execution_id: str) -> Ledger | None:
        """What it may spend, None for no limit."""
        request = event.data
        if request.grant is None:
            return None
        place = event.workflowid or "", request.item.task_id
        return Ledger(self._services.artifacts, place, request.grant, request.dispatch_id, execution_id)

    async def _attempt(
        self, event: TaskEvent[TaskRequest], exchanges: ExchangeLog, execution_id: str, *, fresh: bool
    ) -> dict[str, Any]:
        """The fields of the outcome that say how it ended."""
        seconds = event.data.item.timeout_seconds
        deadline, begun = asyncio.timeout(seconds), list[Task]()
        try:
            async with deadline:
                return await self._work(event, exchanges, execution_id, begun)
        except Suspended as suspended:
            left = await self._unfinished(event, execution_id, begun, deadline)
            return {"status": "suspended", "suspended": suspended.suspension, "commit": left}
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if _is_cancelled(error):
                raise
            if deadline.expired() and isinstance(error, TimeoutError):
                found = timeout_error(seconds)
            else:
                found = await self._failed(event, exchanges, error, fresh=fresh)
                self.is_short |= found.outage and shortage_of(error) is not None
        left = None if found.outage else await self._unfinished(event, execution_id, begun, deadline)
        return {"status": "failed", "error": found, "commit": left}

    async def _unfinished(
        self,
        event: TaskEvent[TaskRequest],
        execution_id: str,
        begun: list[Task],
        deadline: asyncio.Timeout,
    ) -> str | None:
        """The commit of what an execution leaves that ends before its work."""
        cls = self._agents.find(event.data.item.agent_role, event.data.item.required_tag)
        if cls is None or not begun:
            return None
        [task], artifacts, until = begun, self._services.artifacts, deadline.when()
        correlation_id = event.correlationid or task.workflow_id
        assert until is not None
        return await unfinished_work(
            task, artifacts, agent_info(cls), execution_id, correlation_id, deadline=until
        )

    async def _work(
        self, event: TaskEvent[TaskRequest], exchanges: ExchangeLog, execution_id: str, begun: list[Task]
    ) -> dict[str, Any]:
        """The fields of the outcome of work that came to its end; its task is the first of `begun`."""
        item = event.data.item
        cls = self._agents.find(item.agent_role, item.required_tag)
        if cls is None:
            raise NotConfigured(f"this worker has no agent for the role {item.agent_role!r}")
        name, services = event.workflowid or "", self._services
        base = await read_base(name, event.data, services.artifacts)
        task = Task(event.data, name, exchanges, services.sandbox, base, services.artifacts, services.index)
        task = replace(task, on_step=partial(self._tell_step, event))
        begun.append(task)
        failpoint("worker.before_run", f"{task.workflow_id} {task.request.dispatch_id}")
        async with _at_work(task, services) as at_work:
            try:
                result = await cls().run(at_work)
            except BaseExceptionGroup as group:
                if (suspended := suspended_in(group)) is not None:
                    raise suspended from None
                raise
        if not isinstance(result, AgentResult):
            raise TypeError(f"{cls.__qualname__}.run gave {type(result).__name__}, not an AgentResult")
        commit = None
        if leaves_something(task, result):
            correlation_id = event.correlationid or task.workflow_id
            pending = await _pending(task, result, agent_info(cls), execution_id, correlation_id)
            failpoint("worker.before_write")
            commit = await self._write(pending)
            failpoint("worker.after_write")
        return {
            "status": "succeeded",
            "commit": commit,
            "verdict": result.verdict,
            "summary": bounded(result.summary, 2_000),
            "tests": result.tests,
            "review": result.review,
            "backend": bounded(result.backend, 100),
            "contested": result.contested,
            "plan_wanted": result.plan_wanted,
            "plan": result.plan,
        }

    async def _write(self, pending: PendingCommit) -> str:
        try:
            [commit] = await self._services.artifacts.write([pending])
        except UnsafePath as error:
            raise AgentFailure(str(error), code="path_not_allowed") from None
        return commit

    async def _failed(
        self, event: TaskEvent[TaskRequest], exchanges: ExchangeLog, error: BaseException, *, fresh: bool
    ) -> TaskError:
        found = task_error(error, fresh=fresh)
        if found.code == "agent_crashed":
            _log.error(
                "agent_crashed",
                exc_info=error,
                workflow_id=event.workflowid,
                task_id=event.taskid,
                dispatch_id=event.data.dispatch_id,
            )
        reason = lesson(error)
        if reason is None or found.outage:
            return found
        try:
            resumed = event.data.resume_from
            await exchanges.note_failure(reason + said_so_far(resumed.answers if resumed else ()))
        except Exception as store_error:
            # Without the note the next attempt would be given the same answers and fail the same way.
            return task_error(store_error)
        return found


@asynccontextmanager
async def _at_work(task: Task, services: WorkerServices) -> AsyncIterator[Task]:
    """The task with a place for its workspaces, which end with it."""
    workspaces = services.workspaces
    # Without a repository nothing is lost when there are none, and nobody is waited for.
    from_nothing = task.request.base_commit is None
    if workspaces is None or not (from_nothing or await workspaces.offered()):
        yield task
        return
    prepare = partial(_environment, task, services)
    async with Workplace(workspaces, services.artifacts, services.workspace_limits, prepare) as workplace:
        yield replace(task, workplace=workplace)


@asynccontextmanager
async def _environment(task: Task, services: WorkerServices) -> AsyncIterator[Environment]:
    """What the repository of the task needs; nothing without a repository."""
    commit = task.request.base_commit
    if commit is None or services.environments is None:
        yield NO_ENVIRONMENT
        return
    async with AsyncExitStack() as stack:
        try:
            prepared = await stack.enter_async_context(services.environments.prepare(commit, _log_step))
        except (InvalidInput, NotConfigured) as error:
            raise AgentFailure(str(error), code="environment_failed", retryable=False) from None
        yield prepared.environment if prepared else NO_ENVIRONMENT


def _log_step(line: str) -> None:
    _log.info("environment_step", step=line)


async def _pending(task: Task, result: AgentResult, *others: Any) -> PendingCommit:
    """The commit for a result, made beside the event loop when there are many paths to check."""
    if sum(map(len, task.files)) + sum(map(len, result.files)) <= SMALL:
        return pending_commit(task, result, *others)
    return await asyncio.to_thread(pending_commit, task, result, *others)


def _is_cancelled(error: BaseException) -> bool:
    """Whether this execution was cancelled; an agent may also raise CancelledError of its own."""
    current = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and current is not None and current.cancelling() > 0
