"""What an outcome says about an error can be stored anywhere."""

from __future__ import annotations

import errno
import os

import pytest

from agents import AgentResult, Task, agent
from agents.worker.failures import lesson, task_error
from artifacts import GitArtifactStore
from contracts.base.errors import (
    AgentFailure,
    BusUnavailable,
    ModelRefused,
    MultiAgentError,
    SandboxUnavailable,
)
from contracts.base.text import bounded
from contracts.bus.memory_bus import MemoryBus
from tests.agents.owner import Owner, running, worker
from tests.agents.support import task_request


@pytest.mark.parametrize("kind", [AgentFailure, BusUnavailable, MultiAgentError, ValueError])
def test_no_error_carries_a_nul_or_a_lone_surrogate(kind: type[Exception]) -> None:
    error = task_error(kind("a\0b\ud800c"))
    assert error.message.endswith("a\ufffdb?c")
    assert "\0" not in error.code


def test_a_code_with_a_nul_is_no_code() -> None:
    assert task_error(AgentFailure("no", code="bad\0code")).code == "agent_failed"


def test_a_lesson_carries_no_nul() -> None:
    assert lesson(AgentFailure("a\0b")) == "a\ufffdb"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModelRefused("too long"), "too long"),
        (SandboxUnavailable("no engine"), None),
        (ZeroDivisionError("in /home/me/x.py"), "the answer led to ZeroDivisionError"),
    ],
)
def test_a_later_attempt_is_told_what_its_answers_led_to(error: Exception, told: str | None) -> None:
    assert lesson(error) == told


def test_texts_are_cut() -> None:
    assert bounded("\0" * 5, 3) == "\ufffd" * 3
    assert len(task_error(AgentFailure("x" * 20_000)).message) == 10_000


@pytest.mark.parametrize(
    ("number", "outage"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)]
)
def test_a_full_disk_is_an_outage_and_not_the_task_s_failure(number: int, outage: bool) -> None:
    assert task_error(OSError(number, os.strerror(number))).outage is outage


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "none"), RuntimeError("can't start new thread")])
def test_an_agent_short_of_resources_is_to_blame_in_a_fresh_process_alone(error: Exception) -> None:
    found = [task_error(error, fresh=fresh) for fresh in (True, False)]
    assert [(one.code, one.outage) for one in found] == [("agent_crashed", False), ("unavailable", True)]


async def test_what_an_agent_says_of_its_success_carries_no_nul(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    @agent(role="coder")
    class Rude:
        async def run(self, task: Task) -> AgentResult:
            return AgentResult(summary="a\0b\ud800", backend="c\0d")

    async with running(worker(bus, store, Rude)):
        await owner.dispatch(task_request())
        found = await owner.outcome()
    assert (found.status, found.summary, found.backend) == ("succeeded", "a\ufffdb?", "c\ufffdd")
