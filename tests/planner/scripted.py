"""A strict model client that says what it is told to say, and the answers of a model."""

from __future__ import annotations

import json
from typing import Any

from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash


class ScriptedModel:
    """Answers in order and keeps the requests. Runs out loudly; hashes each request, as a recording would."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[ModelRequest] = []
        self.hashes: list[str] = []
        self.closed = 0

    @property
    def name(self) -> str:
        return "scripted"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        assert not self.closed, "asked after it was closed"
        assert self._answers, f"nothing is left to answer; asked {len(self.requests)} times before"
        assert [turn.role for turn in request.messages] == [
            "user",
            *["model", "user"] * (len(request.messages) // 2),
        ]
        self.requests.append(request)
        self.hashes.append(request_hash(request))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return ModelResponse(answer, self.name)

    async def close(self) -> None:
        self.closed += 1

    def assert_done(self) -> None:
        assert not self._answers, f"{len(self._answers)} answers were never asked for"


def task(task_id: str, role: str, *dependencies: str, outputs: tuple[str, ...] = ()) -> dict[str, Any]:
    """A task as a model writes it."""
    return {
        "task_id": task_id,
        "title": f"Do {task_id}",
        "agent_role": role,
        "dependencies": list(dependencies),
        "output_artifacts": list(outputs),
    }


def answer(*tasks: dict[str, Any], **more: Any) -> str:
    """A plan as a model writes it."""
    return json.dumps({"todo_list_id": "plan", "request": "", "items": tasks, **more})


TASKS = (
    task("design", "architect", outputs=("contract.json",)),
    task("write", "coder", "design", outputs=("momentum.py",)),
    task("verify", "tester", "write", outputs=("tests/",)),
    task("review", "reviewer", "verify"),
)
GOOD = answer(*TASKS)
