"""The first failure of a test report: what people are told when a run ends badly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.base.model import Model, PathText, ShortText

MAX_ERROR = 600

ErrorLine = Annotated[str, StringConstraints(max_length=MAX_ERROR)]


class TestFailure(Model):
    """The first test or command that did not pass, and where.

    `kind`: "failed" ran and said no, "not_loaded" could not be loaded (an import, a syntax error, a missing
    file), "not_verified" ran but proves nothing.
    """

    __test__ = False

    kind: Literal["failed", "not_loaded", "not_verified"]
    test: ShortText = Field(description="id of the test, or the command")
    error: ErrorLine = Field(default="", description="the line that says what is wrong")
    path: PathText | None = Field(default=None, description="file of the tree closest to the failure")
    line: int | None = Field(default=None, ge=1)
    on_base: bool = Field(default=False, description="whether the unchanged base fails in the same way")

    @property
    def place(self) -> str:
        """`file:line`, as far as it is known."""
        if self.path is None:
            return ""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    @property
    def environment(self) -> bool:
        """Whether tests cannot be loaded even without the changes: something around the code is missing."""
        return self.on_base and self.kind == "not_loaded"

    @property
    def sentence(self) -> str:
        """What failed, on one line."""
        if self.environment:
            return f"environment: the tests of the unchanged base cannot be loaded either: {self._named}"
        words = "the tests could not be loaded: " if self.kind == "not_loaded" else ""
        also = "; the unchanged base fails in the same way" if self.on_base else ""
        return f"{words}{self._named}{also}"

    @property
    def said(self) -> str:
        """The error line, with its place."""
        return f"{self.error} ({self.place})" if self.place else self.error

    @property
    def _named(self) -> str:
        return f"{self.test}: {self.said}"
