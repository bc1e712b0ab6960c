"""Environments of repositories: what their programs need, made outside of the task that uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from contracts.ports.workspace import Environment


@dataclass(frozen=True, slots=True)
class PreparedEnvironment:
    """An environment that is there."""

    environment: Environment
    name: str
    """What it is, for people, such as `/home/me/venv, Python 3.12.4, 31 packages`."""
    hash: str
    """64 hex digits of what it was made from: equal ones behave alike."""

    @property
    def line(self) -> str:
        """Which one it is, in one line."""
        return f"environment {self.hash[:12]}: {self.name}"


class CommitFile(Protocol):
    """A file of a commit."""

    @property
    def path(self) -> str: ...

    @property
    def oid(self) -> str: ...


class CommitReader(Protocol):
    """The files of commits. Raises ArtifactError for what is missing."""

    async def list_files(self, commit: str) -> Sequence[CommitFile]: ...

    async def read_files(self, oids: Sequence[str]) -> Sequence[bytes]: ...


class Environments(Protocol):
    """Gives a repository's environment."""

    def prepare(
        self, commit: str, say: Callable[[str], None]
    ) -> AbstractAsyncContextManager[PreparedEnvironment | None]:
        """The environment of a commit, made first where there is none; None where nothing is needed.

        It stays until the context ends. `say` gets one line for each step that takes long.

        Raises InvalidInput for what the user can mend in the repository or a setting, EnvironmentFailed for
        a step that failed, SandboxUnavailable, ArtifactError for a commit that is missing.
        """
