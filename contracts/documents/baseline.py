"""The baseline: what the repository's own tests say of the base, before any work."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from contracts.base.model import CommitName, Document, LongText, Model
from contracts.documents.failure import ErrorLine

MAX_FAILING: Final = 200
MAX_TAIL: Final = 4_000

TestId = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class BaselineFailure(Model):
    """A test that failed on the base, or a file whose tests could not be loaded there."""

    test: TestId
    error: ErrorLine = ""


class Baseline(Document):
    """How the repository's own tests ended on the unchanged base.

    `state`: "ran" to their end, "timeout" when time was up before, "no_tests" where there are none,
    "cannot_run" where the command itself failed. Counts and ids come from pytest alone; of any other
    command only the exit code and the last lines are known.
    """

    tree: CommitName = Field(description="the tree in which they ran")
    environment: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="hash of what programs found beside the tree"
    )
    command: LongText = Field(default="", description="what ran, empty for nothing")
    state: Literal["ran", "timeout", "no_tests", "cannot_run"]
    exit_code: int | None = None
    counted: bool = Field(default=False, description="whether each test is known by its id")
    found: int = Field(default=0, ge=0, description="tests that were collected")
    passed: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    skipped: int = Field(default=0, ge=0)
    not_loaded: int = Field(default=0, ge=0, description="files whose tests could not be loaded")
    failing: tuple[BaselineFailure, ...] = Field(default=(), max_length=MAX_FAILING)
    broken: tuple[BaselineFailure, ...] = Field(
        default=(), max_length=MAX_FAILING, description="files whose tests could not be loaded"
    )
    error: ErrorLine = Field(default="", description="the line of the output that says what went wrong")
    tail: Annotated[str, StringConstraints(max_length=MAX_TAIL)] = Field(
        default="", description="the last lines of the output"
    )
    seconds: float = Field(default=0.0, ge=0)

    @property
    def complete(self) -> bool:
        """Whether a test that is not listed as failing did not fail."""
        return self.counted and self.state == "ran" and self.failed <= len(self.failing)

    @property
    def share(self) -> float | None:
        """The part of all tests that ran, None where it is not known; a file not loaded counts as one."""
        total = max(self.found, self.passed + self.failed + self.skipped) + self.not_loaded
        return (self.passed + self.failed) / total if self.counted and total else None

    @property
    def obstacle(self) -> str:
        """Why the tests say nothing of the repository; "" where they do."""
        if self.state == "cannot_run":
            how = "" if self.exit_code is None else f" ended with exit code {self.exit_code}"
            return f"{self.command}{how}: {self.error or 'no output'}"
        if self.counted and not self.passed + self.failed:
            first = self.broken[0] if self.broken else None
            return f"{first.test} cannot be loaded: {first.error}" if first else f"{self.command} ran none"
        return "time was up before any test ended" if self.state == "timeout" and not self.counted else ""

    @property
    def sentence(self) -> str:
        """The result on one line."""
        if self.state == "no_tests":
            return "no tests found"
        if self.obstacle:
            return f"the repository's tests cannot run: {self.obstacle}"
        if not self.counted:
            how = f"exit code {self.exit_code}" + (f": {self.error}" if self.error else "")
            return f"{how} ({self.command}, {self.seconds:.0f} s)"
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        broken = f", {self.not_loaded} files not loaded" if self.not_loaded else ""
        share = "" if self.share is None else f"; {100 * self.share:.0f} % ran"
        late = ", time was up" if self.state == "timeout" else ""
        return f"{counts}{broken}{share}{late} ({self.command}, {self.seconds:.0f} s)"

    def failed_before(self, test_id: str) -> bool:
        """Whether a test failed on the base."""
        return any(one.test == test_id for one in self.failing)
