"""Parts that the tests of this folder share. All are strict: a fake that runs out of answers says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.sdk.base_tree import EMPTY, BaseTree
from agents.sdk.exchange_log import ExchangeLog, ExchangeScope
from agents.sdk.task import Task
from contracts.documents.todo_list import TodoItem
from contracts.messages.events import EventType, TaskEvent
from contracts.messages.payloads import TaskRequest
from contracts.ports.exchanges import ExchangeStore
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.sandbox import Isolation, Sandbox, SandboxRequest, SandboxResult
from tests.agents.over_trees import OverTrees

CREATED_AT = 1_750_000_000

Answer = str | ModelResponse | Exception | Callable[[ModelRequest], str]


class ScriptedModel:
    """Answers in order; a request beyond the script is an AssertionError."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[ModelRequest] = []

    @property
    def name(self) -> str:
        return "scripted"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.requests.append(request)
        if not self._answers:
            raise AssertionError(f"the script holds no answer for request {len(self.requests)}")
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, ModelResponse):
            return answer
        text = answer if isinstance(answer, str) else answer(request)
        return ModelResponse(text, "scripted-1", input_tokens=10, output_tokens=5, cost_usd=0.01)

    async def close(self) -> None:
        return None


class ScriptedSandbox:
    """Gives prepared results in order and keeps the requests."""

    backend = "scripted"
    isolation = Isolation.CONTAINER

    def __init__(self, *results: SandboxResult | Exception) -> None:
        self._results = list(results)
        self.requests: list[SandboxRequest] = []

    async def run(self, request: SandboxRequest) -> SandboxResult:
        self.requests.append(request)
        if not self._results:
            raise AssertionError("the script holds no result for this execution")
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    async def close(self) -> None:
        return None


class ExchangesInMemory:
    """ExchangeStore in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], bytes] = {}

    async def save_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> None:
        self.kept[workflow_id, task_id, key] = content

    async def create_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> bool:
        return self.kept.setdefault((workflow_id, task_id, key), content) == content

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        return self.kept.get((workflow_id, task_id, key))


@dataclass
class TaskMaker:
    """Makes tasks without a worker around them."""

    model: ScriptedModel = field(default_factory=ScriptedModel)
    sandbox: Sandbox = field(default_factory=ScriptedSandbox)
    store: ExchangeStore = field(default_factory=ExchangesInMemory)

    def __call__(self, *, base: BaseTree = EMPTY, **fields: Any) -> Task:
        request = task_request(**fields)
        scope = ExchangeScope("w1", request.item.task_id, request.attempt)
        task = Task(request, "w1", ExchangeLog(scope, self.model, self.store), self.sandbox, base)
        return self.sandbox.give(task) if isinstance(self.sandbox, OverTrees) else task


def task_request(
    *,
    role: str = "coder",
    task_id: str = "t1",
    writable: Sequence[str] = (),
    dispatch_id: str = "d1",
    attempt: int = 1,
    cycle: int = 0,
    parents: Sequence[str] = (),
    created_at: int = CREATED_AT,
    **item: Any,
) -> TaskRequest:
    """A request for one task; `item` are further fields of its TodoItem."""
    return TaskRequest(
        dispatch_id=dispatch_id,
        reply_to="agent.results.0",
        attempt=attempt,
        cycle=cycle,
        created_at=created_at,
        request="Create a moving average",
        item=TodoItem.model_validate(
            {
                "task_id": task_id,
                "title": f"Task {task_id}",
                "agent_role": role,
                "output_artifacts": tuple(writable),
                **item,
            }
        ),
        parents=tuple(parents),
        writable=tuple(writable),
    )


def request_event(request: TaskRequest, *, workflow_id: str = "w1") -> TaskEvent[TaskRequest]:
    return TaskEvent[TaskRequest](
        id=f"event-{request.dispatch_id}",
        source="orchestrator/test",
        type=EventType.TASK_DISPATCHED,
        subject=request.item.task_id,
        time="2025-06-15T12:00:00Z",
        correlationid=f"correlation-{workflow_id}",
        workflowid=workflow_id,
        taskid=request.item.task_id,
        attempt=request.attempt,
        data=request,
    )


def code(**files: str) -> str:
    """A CodeArtifacts answer; `__` in a name stands for `/`, and `.py` is added."""
    changes = [{"path": name.replace("__", "/") + ".py", "content": text} for name, text in files.items()]
    return json.dumps({"schema_version": "1.0", "summary": "wrote code", "files": changes})


def contract(*skeletons: str) -> str:
    """A small valid contract."""
    return json.dumps(
        {
            "schema_version": "1.0",
            "contract_id": "sma",
            "interfaces": [{"name": "sma", "type": "function", "signature": "def sma(values, window)"}],
            "test_skeletons": [{"name": name, "description": "as named"} for name in skeletons],
        }
    )
