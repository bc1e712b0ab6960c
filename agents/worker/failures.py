"""From an exception of an execution to the error of its outcome."""

from __future__ import annotations

import errno
import re
from typing import Final

from contracts.base.errors import (
    AgentFailure,
    ArtifactError,
    BusUnavailable,
    EnvironmentFailed,
    InvalidInput,
    MergeConflict,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    ReplayMiss,
    SandboxUnavailable,
    StoreUnavailable,
    Unavailable,
)
from contracts.base.processes.shortage import shortage_of
from contracts.base.text import bounded
from contracts.messages.payloads import TaskError

_CODES: Final[tuple[tuple[type[Exception], str, bool], ...]] = (
    (ModelUnavailable, "model_unavailable", True),
    (SandboxUnavailable, "sandbox_unavailable", True),
    (StoreUnavailable, "store_unavailable", True),
    (BusUnavailable, "bus_unavailable", True),
    (Unavailable, "unavailable", True),
    (ModelRefused, "model_refused", True),
    (ModelRejected, "model_rejected", False),
    (ReplayMiss, "replay_miss", False),
    (MergeConflict, "merge_conflict", False),
    (ArtifactError, "artifact_error", True),
    (EnvironmentFailed, "environment_failed", False),
    (InvalidInput, "invalid_input", False),
)
_KINDS: Final = tuple(kind for kind, _, _ in _CODES)
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def task_error(error: BaseException, *, fresh: bool = True) -> TaskError:
    """The error as the outcome carries it. An exception of no known type is a crash of the agent.

    fresh: whether this was the first execution of its process. A later one that is short of resources may
    suffer from what an earlier one did not give back.
    """
    if isinstance(error, AgentFailure):
        code = error.code if _CODE.fullmatch(error.code) else "agent_failed"
        return TaskError(code=code, message=bounded(str(error)), retryable=error.retryable)
    for kind, code, retryable in _CODES:
        if isinstance(error, kind):
            return TaskError(code=code, message=bounded(str(error)), retryable=retryable)
    message = bounded(f"{type(error).__name__}: {error}")
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return TaskError(code="store_unavailable", message=message, retryable=True)
    if not fresh and shortage_of(error) is not None:
        return TaskError(code="unavailable", message=message, retryable=True)
    return TaskError(code="agent_crashed", message=message, retryable=True)


def timeout_error(seconds: int) -> TaskError:
    """The error of an attempt that was cancelled at its deadline."""
    return TaskError(code="timeout", message=f"the attempt took longer than {seconds} s", retryable=True)


def memory_error(mb: int) -> TaskError:
    """The error of an attempt whose process was ended for its size."""
    message = f"the process of the attempt took more than {mb} MiB of memory (setting worker_memory_mb)"
    return TaskError(code="memory_exceeded", message=message, retryable=True)


def self_cancelled_error() -> TaskError:
    """The error of an attempt whose agent cancelled the task it runs in."""
    return TaskError(code="agent_crashed", message="the agent cancelled its own execution", retryable=True)


def lesson(error: BaseException) -> str | None:
    """What a later attempt should tell the model; None when its answers are not to blame.

    The text reads the same on every machine: a crash is named by its type alone.
    """
    if isinstance(error, AgentFailure | ModelRefused):
        return bounded(str(error))
    if isinstance(error, _KINDS):
        return None
    return f"the answer led to {type(error).__name__}"
