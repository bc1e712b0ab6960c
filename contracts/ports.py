"""The ports: what the core needs from the outside world. An adapter is anything that keeps the docstring."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from contracts.reports import ArtifactMetadata

_EMPTY: Mapping[str, Any] = MappingProxyType({})


# --- bus ---------------------------------------------------------------------------------------------


class Outgoing(NamedTuple):
    """One message for a stream: `payload` is an encoded TaskEvent."""

    stream: str
    payload: bytes


class Delivery(NamedTuple):
    """One message as read from a stream: `entry_id` is the bus' own name for it."""

    stream: str
    entry_id: str
    payload: bytes


class Subscription(Protocol):
    """What `MessageBus.subscribe` hands out: (channel, payload) pairs until closed. Lossy by design."""

    def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]: ...

    async def ready(self) -> None:
        """Return when everything sent from now on will be heard."""

    async def close(self) -> None: ...


class Done(NamedTuple):
    """Deliveries of one group that need no more attention."""

    group: str
    deliveries: Sequence[Delivery]


class MessageBus(Protocol):
    """Streams with consumer groups that carry work, and channels of the same names that mirror it.

    Delivery is at least once and the bus may lose everything at any time; whoever uses it must be able to
    publish again. All methods raise BusUnavailable when the server cannot be reached or answers with an
    error of its own; no method retries a write by itself.
    """

    async def publish(
        self, messages: Sequence[Outgoing], *, hints: Sequence[Outgoing] = (), done: Done | None = None
    ) -> None:
        """Acknowledge `done`, append each message to its stream, and broadcast `hints`: in one pipeline.

        Where one part fails, the others may have been done. Each message is mirrored on the channel of its
        stream's name, for whoever subscribed before it was stored.
        """

    async def answer(self, done: Done, messages: Sequence[Outgoing]) -> None:
        """Publish the messages and acknowledge what led to them: both or neither."""

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        """Mirror only: to whoever subscribes now, stored nowhere."""

    async def ensure_group(self, stream: str, group: str) -> None:
        """Create the stream and the group (from its first entry) unless they exist."""

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        """Up to `count` new entries a stream, waiting at most `block_ms` for the first (0: do not wait).

        Raises GroupMissing when a group is gone.
        """

    async def ack(self, group: str, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge and delete the entries, in one pipeline. Unknown entries are ignored."""

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]:
        """Entries that `consumer` has read and not acknowledged, oldest first. [] when the group is gone."""

    async def consumers(self, stream: str, group: str) -> list[str]:
        """Who has read entries and not acknowledged them all, sorted. [] when the group is gone."""

    async def forget_consumer(self, stream: str, group: str, consumer: str) -> None:
        """Delete the consumer unless it has entries in its hands; they would be in nobody's then."""

    async def entries(self, stream: str) -> list[Delivery]:
        """Everything in the stream, read by somebody or not, oldest first. [] when it does not exist."""

    async def adrift(self, stream: str, group: str) -> list[Delivery]:
        """Entries that were read and are in no consumer's hands: nobody will work on them. Oldest first.

        One that is being acknowledged may be among them. [] when the group is gone.
        """

    async def depth(self, stream: str) -> int:
        """Entries in the stream, 0 when it does not exist."""

    async def incarnation(self) -> str:
        """A text that changes whenever the server may have lost its memory (restart, flush, restore)."""

    def subscribe(self, channels: Sequence[str]) -> Subscription:
        """Listen to channels; `*` is a wildcard."""

    async def close(self) -> None:
        """Release the connections."""


# --- sandbox -----------------------------------------------------------------------------------------


class Verdict(StrEnum):
    """How a program in the sandbox ended. A sandbox that itself fails raises SandboxUnavailable instead."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OOM = "oom"
    OUTPUT_LIMIT = "output_limit"
    KILLED = "killed"
    POLICY = "policy"


class Isolation(StrEnum):
    """How strong the wall was, strongest first."""

    CONTAINER = "container"
    NAMESPACES = "namespaces"
    SYSCALLS = "syscalls"


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Limits of one execution. All are enforced from outside the program."""

    wall_seconds: float = 60.0
    memory_mb: int = 512
    processes: int = 64
    cpus: float = 1.0
    output_bytes: int = 1_000_000
    disk_mb: int = 64
    file_count: int = 5_000


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """One execution.

    argv: the command; `python` and `pytest` work in every backend. No shell is involved.
    files: relative path -> content, laid out below the work folder, which is the current folder.
    collect: relative paths (or folders ending in `/`) read back after the program ended; missing ones are
    left out of the result.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=lambda: _EMPTY)
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    collect: tuple[str, ...] = ()
    limits: SandboxLimits = SandboxLimits()
    labels: Mapping[str, str] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What came of it. `exit_code` is None when the program was ended from outside."""

    verdict: Verdict
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    files: Mapping[str, bytes]
    seconds: float
    backend: str
    isolation: Isolation


class Sandbox(Protocol):
    """Runs a program nobody trusts, without a network.

    A program that fails, is killed or breaks a rule is a result; a sandbox that cannot do its work raises
    SandboxUnavailable; files that may not be written (see contracts.paths) raise UnsafePath. After `run`
    returns or raises, or is cancelled, no process, container, mount or file of it is left.
    """

    @property
    def backend(self) -> str: ...

    @property
    def isolation(self) -> Isolation: ...

    async def run(self, request: SandboxRequest) -> SandboxResult: ...

    async def close(self) -> None: ...


# --- artifacts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PendingCommit:
    """A task's outcome on its way into the store.

    parents: the commits it starts from; more than one are merged first. `files` maps a path to its new
    content, None deletes it. `execution_id` and `attempt` name the pending ref. `created_at` (seconds since
    1970, UTC, the dispatch's creation time) is the commit time, so the same work gives the same commit.
    """

    workflow_id: str
    task_id: str
    attempt: int
    execution_id: str
    parents: tuple[str, ...]
    files: Mapping[str, bytes | None]
    metadata: ArtifactMetadata
    subject: str
    created_at: int


class RefMove(NamedTuple):
    """Publish `commit` as the accepted outcome of a task; `task_id` "result" is the merged outcome."""

    workflow_id: str
    task_id: str
    commit: str


class ArtifactStore(Protocol):
    """The Git store. Commit names are 40 hex digits. Raises ArtifactError; StoreUnavailable for a remote."""

    async def write(self, commits: Sequence[PendingCommit]) -> list[str]:
        """Write all in one go, each under refs/pending/; readable and durable when this returns."""

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str:
        """One commit that holds what all parents hold; a single parent is returned as it is, none gives an
        empty root commit. Deterministic. Raises MergeConflict."""

    async def read_tree(self, commit: str, *, max_bytes: int = 50_000_000) -> dict[str, bytes]:
        """All regular files of a commit. Raises ArtifactError above `max_bytes` or for a missing commit."""

    async def publish(self, moves: Sequence[RefMove]) -> None:
        """Move branches and create tags for accepted outcomes, in one batch; again is a no-op."""

    async def save_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> None:
        """Keep a model exchange durably under (workflow, task, key)."""

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None: ...

    async def close(self) -> None: ...


# --- models ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One turn: `role` is "user" or "model"."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a language model.

    purpose: what it is for, such as "planner.plan" or "coder.write"; a label that is part of the hash.
    response_schema: a JSON Schema that the answer, one JSON document, should satisfy; None for free text.
    The request must hold no time, random id or path of this machine, so that the same work hashes equal.
    """

    purpose: str
    system: str
    messages: tuple[ModelMessage, ...]
    response_schema: Mapping[str, Any] | None = None
    temperature: float = 0.0
    max_output_tokens: int = 16_384


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """An answer. Token counts are the service's own; `cost_usd` is 0.0 where no price is known."""

    text: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    finish_reason: str = "stop"


class ModelClient(Protocol):
    """Answers requests. Raises ModelUnavailable (try again), ModelRejected, ModelRefused, ReplayMiss."""

    @property
    def name(self) -> str: ...

    async def complete(self, request: ModelRequest) -> ModelResponse: ...

    async def close(self) -> None: ...
