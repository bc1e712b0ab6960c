"""What was found out about a workflow's work, for who reviews it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.sdk.baselines import load_baseline
from contracts.base.errors import InvalidDocument, MultiAgentError
from contracts.base.strict_json import read_json, to_json, validate
from contracts.documents.reports import TestReport
from multi_agent.application.ends.delivered_tests import delivered_tests

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from multi_agent.application.delivery.delivered import Delivered


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tests showed."""

    mended: tuple[str, ...] = ()
    """Tests that failed before the work and pass now."""
    commands: tuple[str, ...] = ()
    """What runs the tests in a checkout."""


async def evidence_of(store: GitArtifactStore, delivered: Delivered) -> Evidence:
    """Gather it from the baseline and from the reports of testers; what cannot be read is left out."""
    commands = await delivered_tests(store, delivered.view, delivered.commit)
    try:
        baseline = await load_baseline(store, delivered.workflow_id)
        records = await store.read_records(delivered.workflow_id, delivered.commit)
    except MultiAgentError:
        return Evidence(commands=commands)
    outcomes = {
        one.test_id: one.outcome
        for raw in records.values()
        if (report := _test_report(raw)) is not None
        for one in report.results
    }
    failing = baseline.failing if baseline else ()
    return Evidence(tuple(one.test for one in failing if outcomes.get(one.test) == "passed"), commands)


def _test_report(record: bytes) -> TestReport | None:
    """The report of a tester's metadata; None in that of others."""
    try:
        found = read_json(record, "metadata", max_bytes=len(record))
        report = found.get("report") if isinstance(found, dict) else None
        return validate(TestReport, to_json(report, "report"), "report") if report else None
    except InvalidDocument:
        return None
