"""The agents that ship, called directly: without a workflow, a worker or asyncio.

A `task` is a TodoItem or a mapping of its fields. Its role is the agent's; task_id and title are filled in
where absent. `request` is the whole request in the user's words, the task's description by default.
All methods raise InvalidInput, AgentFailure, and the errors of the model and the sandbox.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self, TypeVar

from agents.roles.architect import DEFAULT_PATH, ArchitectAgent
from agents.roles.coder import CoderAgent
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.exchange_log import ExchangeLog, ExchangeScope
from agents.sdk.task import Task
from contracts.base.errors import InvalidInput
from contracts.base.paths import covers
from contracts.base.processes.loop_thread import LoopThread
from contracts.base.strict_json import to_json, validate
from contracts.documents.reports import CodeArtifacts, Contract
from contracts.documents.todo_list import Role, TodoItem
from contracts.messages.channels import Channels
from contracts.messages.payloads import TaskRequest
from contracts.ports.model import ModelClient
from contracts.ports.sandbox import Sandbox
from multi_agent.bootstrap import HOST, make_bus, make_model, make_private_bus, make_sandbox
from multi_agent.facade.files import read_files
from multi_agent.facade.options import settings_from
from multi_agent.facade.outcome import WorkflowArtifacts, readable_report
from multi_agent.settings import Settings

TaskFields = TodoItem | Mapping[str, Any]
ContractFields = Contract | Mapping[str, Any]

_CALLER: Final = "direct"
T = TypeVar("T")


class _BlockingAgent:
    """Where an agent works: a model and a sandbox for each call, and one thread for all of them."""

    def __init__(self, model: ModelClient | None = None, **options: Any) -> None:
        """model: stays the caller's to close; by default the settings' own. options: fields of Settings."""
        self._settings = settings_from(options)
        self._model = model
        self._thread = LoopThread()

    def close(self) -> None:
        """End the thread. Again is a no-op."""
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, request: TaskRequest, base: BaseTree, work: Callable[[Task], Awaitable[T]]) -> T:
        return self._thread.run(self._work(request, base, work))

    async def _work(self, request: TaskRequest, base: BaseTree, work: Callable[[Task], Awaitable[T]]) -> T:
        model = self._model or make_model(self._settings)
        scope = ExchangeScope(_CALLER, request.item.task_id, request.attempt)
        try:
            async with _sandbox(self._settings) as sandbox:
                log = ExchangeLog(scope, model, _NoExchangeStore())
                return await work(Task(request, _CALLER, log, sandbox, base))
        finally:
            if self._model is None:
                await model.close()


class BlockingArchitect(_BlockingAgent):
    """From a task to a contract."""

    def generate_contract(self, task: TaskFields, *, request: str | None = None) -> dict[str, Any]:
        """The Contract as a JSON-ready dict."""
        dispatch = _dispatch(_item(task, Role.ARCHITECT), request)
        contract = self._run(dispatch, BaseTree(), ArchitectAgent().generate_contract)
        return contract.model_dump(mode="json")


class BlockingCoder(_BlockingAgent):
    """From a contract to code."""

    def generate_code(
        self,
        contract: ContractFields,
        task: TaskFields,
        *,
        files: Mapping[str, str | bytes] | None = None,
        request: str | None = None,
    ) -> dict[str, Any]:
        """The CodeArtifacts as a JSON-ready dict: {"summary", "files": [{"path", "content"}], "notes"}.

        files: what exists already, path -> content.
        """
        item = _item(task, Role.CODER)
        base = _with_contract(BaseTree(read_files(files or {})), item, contract)
        code = self._run(_dispatch(item, request), base, CoderAgent().generate_code)
        return code.model_dump(mode="json")


class BlockingTester(_BlockingAgent):
    """From code to a test report."""

    __test__ = False

    def run_tests(
        self,
        task: TaskFields,
        artifacts: CodeArtifacts | Mapping[str, Any],
        *,
        contract: ContractFields | None = None,
        request: str | None = None,
    ) -> dict[str, Any]:
        """The TestReport as a JSON-ready dict, with its figures as "summary": {"passed", "failed", ...}.

        artifacts: what `generate_code` or `get_artifacts` gave, or path -> content. Output files of the task
        that are not among them are tests, which are written first. Then the task's acceptance tests run, or
        its test files when it has none.
        """
        item = _item(task, Role.TESTER)
        base = _code(artifacts)
        outputs = item.output_artifacts
        absent = tuple(name for name in outputs if not any(covers(name, path) for path in base.files))
        if contract is not None:
            base = _with_contract(base, item, contract)
        result = self._run(_dispatch(item, request, absent), base, TesterAgent().run)
        assert result.report is not None
        return readable_report(result.report.model_dump(mode="json"))


class _NoExchangeStore:
    """An exchange store that keeps nothing: a direct call is not repeated after a crash."""

    async def save_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> None:
        """Keep nothing."""

    async def create_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> bool:
        """Keep nothing; nobody else keeps anything either."""
        return True

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        """Find nothing."""
        return None


@asynccontextmanager
async def _sandbox(settings: Settings) -> AsyncIterator[Sandbox]:
    # Only sandbox hosts are asked over a bus.
    bus = make_bus(settings) if settings.sandbox == HOST else make_private_bus()
    sandbox = make_sandbox(settings, bus, f"{_CALLER}-{uuid.uuid4().hex}")
    try:
        yield sandbox
    finally:
        await sandbox.close()
        await bus.close()


def _item(task: TaskFields, role: Role) -> TodoItem:
    if isinstance(task, TodoItem):
        return task.model_copy(update={"agent_role": role.value})
    if not isinstance(task, Mapping):
        raise InvalidInput(f"task is a {type(task).__name__}; give a TodoItem, or a dict of its fields")
    words = str(task.get("description") or task.get("task_id") or role.value)
    defaults = {"task_id": role.value, "title": words.strip().partition("\n")[0][:300]}
    return validate(TodoItem, to_json({**defaults, **task, "agent_role": role.value}, "task"), "task")


def _dispatch(item: TodoItem, request: str | None, writable: tuple[str, ...] | None = None) -> TaskRequest:
    return TaskRequest(
        dispatch_id=uuid.uuid4().hex,
        reply_to=Channels.AGENT_RESULTS,
        attempt=1,
        created_at=int(time.time()),
        request=request or item.description or item.title,
        item=item,
        writable=item.output_artifacts if writable is None else writable,
    )


def _with_contract(base: BaseTree, item: TodoItem, contract: ContractFields) -> BaseTree:
    """The tree as an architect leaves it."""
    if not isinstance(contract, Contract):
        contract = validate(Contract, to_json(contract, "contract"), "contract")
    path = next((path for path in item.input_artifacts if path.endswith(".json")), DEFAULT_PATH)
    text = contract.model_dump_json(indent=2) + "\n"
    return BaseTree(
        {path: text.encode(), **base.files}, {"contract": contract.model_dump(mode="json")}, base.authors
    )


def _code(artifacts: object) -> BaseTree:
    if isinstance(artifacts, WorkflowArtifacts):
        return BaseTree(artifacts.files)
    if isinstance(artifacts, Mapping) and isinstance(artifacts.get("files"), list):
        artifacts = validate(CodeArtifacts, to_json(artifacts, "code"), "code")
    if isinstance(artifacts, CodeArtifacts):
        kept = {change.path: change.content for change in artifacts.files if change.content is not None}
        return BaseTree(read_files(kept), authors=dict.fromkeys(kept, Role.CODER.value))
    if isinstance(artifacts, Mapping):
        return BaseTree(read_files(artifacts))
    kind = type(artifacts).__name__
    raise InvalidInput(f"artifacts is a {kind}; give what generate_code gave, or path -> content")
