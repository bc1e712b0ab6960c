"""Documents that agents produce: contracts, code, build, test and review reports, metadata of a commit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from contracts.base.model import CommitName, Document, Identifier, LongText, Model, PathText, ShortText
from contracts.documents.failure import TestFailure
from contracts.documents.todo_list import RoleName

MAX_TRACEBACK = 8_000

Signature = Annotated[str, StringConstraints(max_length=2_000)]


class Method(Model):
    """A method of an interface."""

    name: ShortText
    signature: Signature
    description: LongText = ""


class Interface(Model):
    """Something that other code may call."""

    name: ShortText
    type: Literal["function", "class", "protocol", "module", "cli", "http"]
    signature: Signature = ""
    description: LongText = ""
    methods: tuple[Method, ...] = Field(default=(), max_length=200)


class DataField(Model):
    """A field of a data model."""

    name: ShortText
    type: ShortText
    description: LongText = ""


class DataModel(Model):
    """A record that crosses an interface."""

    name: ShortText
    fields: tuple[DataField, ...] = Field(default=(), max_length=200)
    description: LongText = ""


class TestSkeleton(Model):
    """A test that the tester must write out: what is checked, not how."""

    __test__ = False

    name: Annotated[str, StringConstraints(pattern=r"^test_[A-Za-z0-9_]+$", max_length=150)]
    description: LongText = ""


class Contract(Document):
    """The architect's outcome: what is built, before it is built."""

    contract_id: Identifier
    summary: LongText = ""
    interfaces: tuple[Interface, ...] = Field(min_length=1, max_length=200)
    data_models: tuple[DataModel, ...] = Field(default=(), max_length=200)
    test_skeletons: tuple[TestSkeleton, ...] = Field(default=(), max_length=500)


class FileChange(Model):
    """A file as it shall be. `content` None deletes it."""

    path: PathText
    content: Annotated[str, StringConstraints(max_length=2_000_000)] | None


class CodeArtifacts(Document):
    """Files that an agent wrote."""

    summary: ShortText
    files: tuple[FileChange, ...] = Field(min_length=1, max_length=500)
    notes: LongText = ""


class CommandRun(Model):
    """One command in the sandbox and how it ended. Times are left out: the same work reads the same."""

    cmd: ShortText
    verdict: Literal["ok", "failed", "timeout", "oom", "output_limit", "killed", "policy"]
    exit_code: int | None = None
    output_tail: LongText = ""


class BuildReport(Document):
    """Checks of a task's files before any test runs."""

    passed: bool
    runs: tuple[CommandRun, ...] = Field(default=(), max_length=100)
    problems: tuple[ShortText, ...] = Field(default=(), max_length=500)


class TestCase(Model):
    """The outcome of one test; `message` is the first line of the failure, normalised."""

    __test__ = False

    test_id: ShortText
    outcome: Literal["passed", "failed", "error", "skipped"]
    message: LongText = ""
    traceback: Annotated[str, StringConstraints(max_length=MAX_TRACEBACK)] = Field(
        default="", description="of a failure, its lines normalised, cut in the middle"
    )
    flaky: bool = Field(default=False, description="it failed, and passed when the same was run again")
    apart: bool = Field(default=False, description="it passed in another process than the code it tests")


class TestReport(Document):
    """The tester's outcome. `coverage_percent` is line coverage of the code under test, None if unknown."""

    __test__ = False

    passed: bool
    results: tuple[TestCase, ...] = Field(default=(), max_length=10_000)
    runs: tuple[CommandRun, ...] = Field(default=(), max_length=100)
    coverage_percent: float | None = Field(default=None, ge=0, le=100)
    logs: LongText = ""
    backend: ShortText = "unknown"
    isolation: ShortText = "unknown"
    failure: TestFailure | None = Field(default=None, description="the first thing that did not pass")


class ReviewFinding(Model):
    """One remark of a reviewer."""

    severity: Literal["info", "minor", "major", "critical"]
    path: PathText | None = None
    line: int | None = Field(default=None, ge=1)
    message: LongText

    @property
    def sentence(self) -> str:
        """The remark on one line."""
        line = f":{self.line}" if self.line else ""
        where = f" ({self.path}{line})" if self.path else ""
        return f"{self.severity}{where}: {' '.join(self.message.split())}"


class ReviewReport(Document):
    """The reviewer's outcome. `approved` false with a critical finding fails the task."""

    approved: bool
    summary: LongText
    findings: tuple[ReviewFinding, ...] = Field(default=(), max_length=200)


class ArtifactMetadata(Document):
    """Provenance, committed with each task's artifacts. `timestamp` is RFC 3339, UTC."""

    workflow_id: Identifier
    task_id: Identifier
    correlation_id: Identifier
    agent_role: RoleName
    agent_version: ShortText
    prompt_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="SHA-256 over the hashes of the model requests, None when no model was asked",
    )
    model_name: ShortText | None = None
    timestamp: Annotated[
        str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
    ]
    artifacts: tuple[PathText, ...] = Field(default=(), max_length=5_000)
    parents: tuple[CommitName, ...] = Field(default=(), max_length=1_000)
    attempt: int = Field(default=1, ge=1)
    report: dict[str, Any] | None = Field(default=None, description="the report document the task produced")
    guidance: tuple[PathText, ...] = Field(
        default=(), max_length=100, description="files of the repository that told the agent how to work"
    )
    skills: tuple[PathText, ...] = Field(
        default=(), max_length=100, description="files of the repository whose skills the agent was offered"
    )
