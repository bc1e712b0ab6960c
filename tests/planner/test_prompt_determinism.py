"""The same work asks the same question, in any process: recordings and caches go by the request's hash."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import contracts
from planner_service import Planner, RepositorySummary
from tests.planner.scripted import GOOD, ScriptedModel, answer, task

ROOT = Path(contracts.__file__).parent.parent
PINNED = "9d4b5671719d528d849605cc88fc79b96506a937a9b8253a7a5d6453b4365ec3"

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
def test_hashes_are_equal_in_every_process(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONHASHSEED": seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == asyncio.run(hashes())


async def test_the_first_question_is_pinned() -> None:
    """Changes with the prompt or the schema of plans; then record the examples again and pin the new one."""
    model = ScriptedModel(GOOD)
    await Planner(model).plan("Create momentum strategy")
    assert model.hashes == [PINNED]
