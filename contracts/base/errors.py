"""The one error tree of the project.

    MultiAgentError
    ├── InvalidInput            the caller's mistake: says which field, which value, what to do
    │   ├── InvalidDocument     a document does not fit its schema or the checks beyond it
    │   ├── InvalidPlan         the planner could not get a valid plan out of the model
    │   ├── UnsafePath          a path that may not be written
    │   └── NotConfigured       a setting is missing or wrong
    ├── WaitsForPerson          a person must decide first; says what to look at
    ├── Unavailable             an outside part cannot be reached now; trying again may help
    │   ├── BusUnavailable
    │   │   └── NotPermitted    the bus does not let this user do it
    │   ├── StoreUnavailable
    │   ├── Busy                the limit of open workflows is reached; waiting helps
    │   ├── SandboxUnavailable  no backend, or the backend itself broke (never the program's fault)
    │   └── ModelUnavailable    overload, timeout, rate limit; carries `retry_after`
    ├── StoreDamaged            the database's own bytes are broken; trying again does not help
    ├── FolderReplaced          a data folder was moved or replaced while it was served
    ├── GroupMissing            a stream's consumer group is gone (Redis was flushed or replaced)
    ├── LimitExceeded           a foreign text takes more time or memory than one may
    ├── DecodeError             bytes that are not a known message; keeps the raw bytes
    ├── ModelError              the model answered, and the answer cannot be used
    │   ├── ModelRefused        blocked, empty or cut off
    │   │   └── ModelBlocked    by a filter of the service, or by the model itself
    │   ├── ModelRejected       the request itself is not accepted (key, model name, size)
    │   │   └── ModelDenied     whatever the request: key, account, credit, name of the model
    │   └── ReplayMiss          the recording holds no answer for this request
    ├── ArtifactError           the artifact store refused or does not hold what was asked for
    │   └── MergeConflict       two parents changed one path differently
    ├── EnvironmentFailed       a repository's environment could not be made; says which step failed
    └── AgentFailure            an agent did its work and could not reach the goal

Adapters turn foreign errors into these; nothing above an adapter catches a foreign type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class MultiAgentError(Exception):
    """Base of every error raised on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors also come from other processes, and their constructors take other things than a message.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[MultiAgentError], args: tuple[Any, ...], fields: dict[str, Any]) -> MultiAgentError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class InvalidInput(MultiAgentError):
    """The caller's mistake."""


class WaitsForPerson(MultiAgentError):
    """Nothing was done: a person must decide about it first."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document."""

    path: str
    """A JSON path such as `$.items[2].task_id`."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidDocument(InvalidInput):
    """A document that does not fit; `problems` lists every fault found, in document order."""

    def __init__(self, document_type: str, problems: list[Problem]) -> None:
        self.document_type = document_type
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"this is not a valid {document_type}:\n{lines}")


class InvalidPlan(InvalidInput):
    """The planner's dialogue with the model ended without a valid plan."""


class UnsafePath(InvalidInput):
    """A path that leaves the tree, hides a repository or cannot exist on every system."""


class NotConfigured(InvalidInput):
    """A setting is missing or cannot be used; the message says how to set it."""


class Unavailable(MultiAgentError):
    """An outside part cannot be reached now."""


class BusUnavailable(Unavailable):
    """Redis cannot be reached, or answered with an error of its own."""


class NotPermitted(BusUnavailable):
    """Redis does not let the user that the URL names do this. It helps when somebody changes the rules."""


class StoreUnavailable(Unavailable):
    """The database cannot be reached, or the fate of a commit is unknown."""


class StoreDamaged(MultiAgentError):
    """The bytes of the database are broken."""


class FolderReplaced(MultiAgentError):
    """The data folder that a process serves is not the one at its path any more."""


class Busy(Unavailable):
    """The limit of open workflows is reached; wait until some have ended."""


class SandboxUnavailable(Unavailable):
    """No sandbox is available, or the sandbox itself failed. Never the fault of the program in it."""


class ModelUnavailable(Unavailable):
    """The model cannot answer now; `retry_after` is in seconds, None when the service did not say."""

    def __init__(self, message: str, retry_after: float | None = None, *, unsent: bool = False) -> None:
        """unsent: whether it is known that no answer was made, so that nothing is paid."""
        super().__init__(message)
        self.retry_after = retry_after
        self.unsent = unsent


class GroupMissing(MultiAgentError):
    """A consumer group that should exist does not: the bus lost its memory."""


class LimitExceeded(MultiAgentError):
    """A foreign text takes more time or memory than one may; the message says what "it" exceeds."""


class DecodeError(MultiAgentError):
    """Bytes that are not a known message; `raw` keeps them."""

    def __init__(self, reason: str, raw: bytes) -> None:
        super().__init__(reason)
        self.reason = reason
        self.raw = raw


class ModelError(MultiAgentError):
    """The model answered and the answer cannot be used."""


class ModelRefused(ModelError):
    """The answer was blocked, empty or cut off at the length limit."""


class ModelBlocked(ModelRefused):
    """A filter of the service, or the model itself, does not answer this request; another model may."""


class ModelRejected(ModelError):
    """The service does not accept the request: wrong key, unknown model, request too large."""


class ModelDenied(ModelRejected):
    """The service accepts no request: the key, the account's credit or the model's name is at fault."""


class ReplayMiss(ModelError):
    """The recording holds no answer for this request."""


class ArtifactError(MultiAgentError):
    """The artifact store refused, or does not hold what was asked for."""


class MergeConflict(ArtifactError):
    """Two parents changed one path in different ways."""


class EnvironmentFailed(MultiAgentError):
    """A step of making an environment failed; the message has its last lines and what to change."""


class AgentFailure(MultiAgentError):
    """An agent did its work and could not reach the goal; `retryable` asks for another attempt."""

    def __init__(self, message: str, *, code: str = "agent_failed", retryable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
