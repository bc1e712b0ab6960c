"""What a workflow made, as a mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.base.model import Document
from contracts.base.refs import branch_name, is_metadata
from contracts.base.strict_json import validate
from contracts.documents.reports import (
    ArtifactMetadata,
    BuildReport,
    Contract,
    ReviewReport,
    TestReport,
)

_NAMES: Final[tuple[tuple[str, type[Document]], ...]] = (
    ("contract.json", Contract),
    ("test_report.json", TestReport),
    ("build_report.json", BuildReport),
    ("review_report.json", ReviewReport),
)


@dataclass(frozen=True, eq=False)
class WorkflowArtifacts(Mapping[str, Any]):
    """path -> content of every file: text where it is UTF-8, else bytes; and the newest report of each kind.

    The reports are parsed JSON, named contract.json, test_report.json, build_report.json, review_report.json,
    also where the tree holds a file of that name: `files` has every file as it is.
    """

    branch: str | None = None
    """None, as `commit`, when the workflow left no file."""
    commit: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    reports: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """task_id -> its report, as `readable_report` gives it."""
    newest: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Name, such as test_report.json -> the newest report of that kind."""

    def __getitem__(self, path: str) -> Any:
        return self.newest[path] if path in self.newest else _text(self.files[path])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self.files, *self.newest}))

    def __len__(self) -> int:
        return len({*self.files, *self.newest})


def read_outcome(
    workflow_id: str,
    commit: str,
    tree: Mapping[str, bytes],
    records: Mapping[str, bytes],
    task_ids: Iterable[str],
) -> WorkflowArtifacts:
    """The outcome in a commit's tree, and reports from the metadata of tasks (task_id -> JSON).

    Reports stand in the order of `task_ids`, the newest last.
    """
    files = {path: content for path, content in tree.items() if not is_metadata(path)}
    reports: dict[str, dict[str, Any]] = {}
    newest: dict[str, dict[str, Any]] = {}
    for task_id in task_ids:
        report = _report(workflow_id, records.get(task_id))
        if report is not None:
            reports[task_id] = readable_report(report)
            if name := _name(report):
                newest[name] = reports[task_id]
    return WorkflowArtifacts(branch_name(workflow_id), commit, files, reports, newest)


def readable_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report; a test report with {"passed", "failed", "skipped", "coverage_percent"} as its `summary`."""
    if _name(report) != "test_report.json":
        return dict(report)
    outcomes = [case["outcome"] for case in report["results"]]
    summary = {
        "passed": outcomes.count("passed"),
        "failed": outcomes.count("failed") + outcomes.count("error"),
        "skipped": outcomes.count("skipped"),
        "coverage_percent": report["coverage_percent"],
    }
    return {**report, "summary": summary}


def _report(workflow_id: str, record: bytes | None) -> dict[str, Any] | None:
    if record is None:
        return None
    metadata = validate(ArtifactMetadata, record, "artifact metadata")
    # A user's repository may hold metadata of other workflows in its tree.
    return metadata.report if metadata.workflow_id == workflow_id else None


def _name(report: Mapping[str, Any]) -> str | None:
    """The name of its kind, None for a report of somebody else's agent."""
    return next((name for name, model in _NAMES if report.keys() == model.model_fields.keys()), None)


def _text(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content
