"""The loop of a legacy agent: generate, run, fix, at most five times."""

from __future__ import annotations

import json

import pytest

from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult, Verdict
from multi_agent.rollout.legacy_loop import LegacyLoop


class Written:
    """A model with answers that were written before."""

    name = "written"

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.asked.append(request)
        return ModelResponse(self.answers.pop(0), "written", cost_usd=0.01)

    async def close(self) -> None: ...


class Judged:
    """A sandbox in which tests pass where a file says `good`."""

    backend = "judged"
    isolation = Isolation.NAMESPACES

    async def run(self, request: SandboxRequest) -> SandboxResult:
        good = any(b"good" in content for content in request.files.values())
        verdict = Verdict.OK if good else Verdict.FAILED
        return SandboxResult(verdict, 0 if good else 1, b"1 failed", b"", {}, 0.1, "judged", self.isolation)

    async def close(self) -> None: ...


def files(content: str) -> str:
    return json.dumps({"files": [{"path": "a.py", "content": content}]})


async def test_what_fails_is_shown_and_mended() -> None:
    model = Written("no JSON", files("bad"), files("good"))
    answer = await LegacyLoop(model, Judged()).run("add two numbers")
    assert (answer.value, answer.success, answer.iterations) == ({"a.py": "good"}, True, 3)
    assert answer.cost_usd == pytest.approx(0.03)
    turns = [turn.text for turn in model.asked[-1].messages]
    assert turns[0] == "add two numbers"
    assert "cannot be used" in turns[2]
    assert "1 failed" in turns[4]


async def test_after_five_rounds_it_has_failed() -> None:
    model = Written(*[files("bad")] * 6)
    answer = await LegacyLoop(model, Judged()).run("add two numbers")
    assert (answer.success, answer.iterations, len(model.answers)) == (False, 5, 1)
