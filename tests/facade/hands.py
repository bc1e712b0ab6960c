"""Agents that need no model: a coder and a tester, for workflows that the tests run from Python."""

from __future__ import annotations

from agents import AgentResult, Task, agent
from contracts.documents.reports import TestCase, TestReport


@agent(role="coder")
class Coder:
    """Writes every file the task may write; fails when asked to."""

    async def run(self, task: Task) -> AgentResult:
        return AgentResult(files=dict.fromkeys(task.item.output_artifacts, "x = 1\n"), summary="wrote x")


@agent(role="tester")
class Tester:
    """Passes when the coder's file is there."""

    async def run(self, task: Task) -> AgentResult:
        there = task.files["codes/x.py"] == b"x = 1\n"
        results = [
            TestCase(test_id="test_x", outcome="passed" if there else "failed"),
            TestCase(test_id="test_y", outcome="skipped"),
        ]
        report = TestReport(passed=there, results=tuple(results))
        return AgentResult(report=report, verdict="passed" if there else "failed")
