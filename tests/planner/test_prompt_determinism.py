"""The same work asks the same question, in any process: recordings and caches go by the request's hash."""

from __future__ import annotations

import subprocess
import sys

import pytest

from planner_service import Planner, RepositorySummary
from tests.planner.scripted import GOOD, ScriptedModel, answer, task

SCRIPT = """
import asyncio
from tests.planner.test_prompt_determinism import hashes
print(*asyncio.run(hashes()))
"""


async def hashes() -> list[str]:
    """Hashes of a dialogue with a repair, about an existing repository."""
    model = ScriptedModel(answer(task("a", "coder", "b"), task("b", "codr", "a"), extra=1), answer(), GOOD)
    repository = RepositorySummary.of({"README.md": b"hello", "a.py": b"", "b/c.py": b"1"})
    await Planner(model).plan("Create momentum strategy", repository=repository)
    return model.hashes


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
async def test_hashes_are_equal_in_every_process(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == await hashes()


async def test_the_first_question_is_pinned() -> None:
    """Changes with the prompt or the schema of plans; then record the examples again and pin the new value."""
    model = ScriptedModel(GOOD)
    await Planner(model).plan("Create momentum strategy")
    assert model.hashes == ["PINNED"]
