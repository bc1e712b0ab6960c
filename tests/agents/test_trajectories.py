"""What a model at a local endpoint once answered, played again to a real worker over a repository.

Each file holds the bodies of its answers in their order, as the endpoint sent them. The mistakes in them are
those of real models.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.roles.coder import CoderAgent
from tests.agents.at_work import AtWork
from tests.models.rigs import http_client
from tests.support.model_server import ModelServer, Raw

RECORDED = Path(__file__).parent / "trajectories"
TASK: dict[str, Any] = {
    "description": "a.txt says one and two. Add a line `three` behind them.",
    "title": "Count to three",
    "writable": ["a.txt", "notes.txt"],
    "timeout_seconds": 60,
}


@pytest.mark.parametrize(
    ("name", "summary", "shown"),
    [
        ("an_edit_that_does_not_match", "a line three is added", "nearest are these lines, as they are"),
        ("one_that_loops", "repeats_itself", "nothing matches"),
        ("no_call", "The line is there: a.txt counts to three now.", "Call `finish` if the task is done"),
        ("cut_off_in_a_call", "a line three is added, with notes", "cut off at the limit of its length"),
    ],
)
async def test_a_recorded_trajectory_ends_as_it_did(
    name: str,
    summary: str,
    shown: str,
    at_work: AtWork,
) -> None:
    answers = json.loads((RECORDED / f"{name}.json").read_text())
    with ModelServer([Raw(json.dumps(answer).encode()) for answer in answers]) as server:
        async with http_client("openai", server) as model:
            outcome = await at_work.outcome(at_work.request(**TASK), CoderAgent, model=model)
    assert len(server.requests) == len(answers)
    assert outcome.usage.model_calls == len(answers)
    assert shown in server.requests[-1].raw.decode()
    if outcome.status == "succeeded":
        assert outcome.summary == summary
        written = at_work.project.store.objects.read(f"{outcome.commit}:a.txt")
        assert written is not None
        assert written.content == b"one\ntwo\nthree\n"
    else:
        assert outcome.error is not None
        assert outcome.error.code == summary
