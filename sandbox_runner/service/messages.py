"""Converts between the Sandbox port and the messages of contracts.messages.sandbox."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, TypeVar

from pydantic_core import to_json

from contracts.base.errors import DecodeError, InvalidInput, SandboxUnavailable, UnsafePath
from contracts.base.model import Model
from contracts.base.strict_json import has_more_parts
from contracts.base.timestamps import rfc3339
from contracts.messages.channels import Channels
from contracts.messages.events import BYTES_PER_PART, EVENT_DATA, EventType, TaskEvent, decode, encode
from contracts.messages.payloads import Heartbeat, WorkerLeft
from contracts.messages.sandbox import (
    MAX_SANDBOX_MESSAGE_BYTES,
    BundledFile,
    SandboxBounds,
    SandboxControl,
    SandboxHost,
    SandboxOrder,
    SandboxOutcome,
)
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from contracts.ports.bus import Outgoing
from contracts.ports.sandbox import Isolation, SandboxLimits, SandboxRequest, SandboxResult, Verdict
from sandbox_runner.service.packed_files import pack, unpack

_MAX_KEPT_BYTES: Final = 2_000_000
"""Of each output of a program whose files were too large."""
_ENVELOPE_BYTES: Final = 1_000
_ENVELOPE_PARTS: Final = 100
_MAX_PARTS: Final = MAX_SANDBOX_MESSAGE_BYTES // BYTES_PER_PART

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Messages:
    """Wraps what one process says into events."""

    source: str
    clock: Callable[[], float]
    """Seconds since 1970."""

    def order(self, order: SandboxOrder) -> Outgoing:
        """For one of the hosts. Raises InvalidInput when it is too large to be sent."""
        payload = self._event(EventType.SANDBOX_REQUESTED, order)
        if len(payload) > MAX_SANDBOX_MESSAGE_BYTES:
            raise InvalidInput(
                f"files and stdin: {len(payload)} bytes once they are encoded; a sandbox host takes at most "
                f"{MAX_SANDBOX_MESSAGE_BYTES} (MAX_SANDBOX_MESSAGE_BYTES)"
            )
        if has_more_parts(payload, _MAX_PARTS):
            raise InvalidInput(f"files: {len(order.files)} are more than a sandbox host can be sent")
        return Outgoing(Channels.SANDBOX_REQUESTS, payload)

    def outcome(self, caller_id: str, outcome: SandboxOutcome) -> Outgoing:
        """A result that `sendable_outcome` made, for its caller."""
        payload = self._event(EventType.SANDBOX_FINISHED, outcome)
        return Outgoing(Channels.sandbox_results(caller_id), payload)

    def host_heartbeat(self, host: SandboxHost) -> Outgoing:
        """For callers and the other hosts."""
        return Outgoing(Channels.SANDBOX_HOSTS, self._event(EventType.SANDBOX_HEARTBEAT, host))

    def control(self, control: SandboxControl) -> Outgoing:
        """For all hosts."""
        return Outgoing(Channels.SANDBOX_CONTROL, self._event(EventType.SANDBOX_CONTROL, control))

    def workspace_order(self, host_id: str, order: WorkspaceOrder) -> Outgoing:
        """For the host of a workspace."""
        payload = self._event(EventType.WORKSPACE_ASKED, order)
        return Outgoing(Channels.sandbox_workspaces(host_id), payload)

    def workspace_answer(self, caller_id: str, answer: WorkspaceAnswer) -> Outgoing:
        """For the holder of a workspace."""
        return Outgoing(
            Channels.sandbox_results(caller_id), self._event(EventType.WORKSPACE_ANSWERED, answer)
        )

    def worker_heartbeat(self, heartbeat: Heartbeat) -> Outgoing:
        """For every orchestrator."""
        return Outgoing(Channels.HEARTBEATS, self._event(EventType.WORKER_HEARTBEAT, heartbeat))

    def left(self, host_id: str) -> Outgoing:
        """For every orchestrator."""
        left = WorkerLeft(worker_id=host_id, reason="stopped")
        return Outgoing(Channels.HEARTBEATS, self._event(EventType.WORKER_LEFT, left))

    def _event(self, kind: EventType, data: Model) -> bytes:
        time = rfc3339(self.clock())
        envelope: type[TaskEvent[Any]] = TaskEvent.__class_getitem__(EVENT_DATA[kind])  # type: ignore[assignment]
        return encode(envelope(id=uuid.uuid4().hex, source=self.source, type=kind, time=time, data=data))


def read(payload: bytes, wanted: type[M]) -> M:
    """The data of a message of this kind. Raises DecodeError for any other."""
    event = decode(payload, max_bytes=MAX_SANDBOX_MESSAGE_BYTES)
    if isinstance(event.data, wanted):
        return event.data
    raise DecodeError(f"{wanted.__name__} was expected, not {event.type}", payload)


def order_of(
    request: SandboxRequest, *, request_id: str, caller_id: str, deadline: float, remaining_seconds: float
) -> SandboxOrder:
    """The request as a message. Raises InvalidInput when it does not fit one."""
    try:
        return SandboxOrder(
            request_id=request_id,
            caller_id=caller_id,
            deadline=deadline,
            remaining_seconds=remaining_seconds,
            argv=request.argv,
            env=dict(request.env),
            limits=SandboxBounds(**asdict(request.limits)),
            collect=request.collect,
            read_only=request.read_only or None,
            labels=dict(request.labels),
            stdin_size=len(request.stdin),
            files=_index(request.files),
            bundle_base64=pack([request.stdin, *request.files.values()]),
        )
    except ValueError as error:  # pydantic's, which shows every field that does not fit
        raise InvalidInput(f"the request does not fit a message for a sandbox host: {error}") from None


def request_of(order: SandboxOrder) -> SandboxRequest:
    """The message as a request. Raises DecodeError when the bundle differs from its sizes."""
    sizes = [order.stdin_size, *(file.size for file in order.files)]
    stdin, *contents = unpack(order.bundle_base64, sizes)
    return SandboxRequest(
        argv=order.argv,
        files=dict(zip(_unique([file.path for file in order.files]), contents, strict=True)),
        stdin=stdin,
        env=order.env,
        collect=order.collect,
        read_only=order.read_only or (),
        limits=SandboxLimits(**order.limits.model_dump()),
        labels=order.labels,
    )


def sendable_outcome(result: SandboxResult, *, request_id: str, host_id: str) -> SandboxOutcome:
    """The result as a message; one that is too large is sent without its files, as `policy`."""
    outcome = outcome_of(result, request_id=request_id, host_id=host_id)
    encoded = to_json(outcome)
    size = len(encoded) + _ENVELOPE_BYTES
    if size <= MAX_SANDBOX_MESSAGE_BYTES and not has_more_parts(encoded, _MAX_PARTS - _ENVELOPE_PARTS):
        return outcome
    note = f"\nsandbox: files refused: {size} bytes once encoded, more than {MAX_SANDBOX_MESSAGE_BYTES}\n"
    reduced = replace(
        result,
        verdict=Verdict.POLICY,
        stdout=result.stdout[-_MAX_KEPT_BYTES:],
        stderr=result.stderr[-_MAX_KEPT_BYTES:] + note.encode(),
        files={},
    )
    return outcome_of(reduced, request_id=request_id, host_id=host_id)


def outcome_of(result: SandboxResult, *, request_id: str, host_id: str) -> SandboxOutcome:
    """The result as a message, however large."""
    return SandboxOutcome(
        request_id=request_id,
        host_id=host_id,
        verdict=result.verdict.value,
        exit_code=result.exit_code,
        stdout_size=len(result.stdout),
        stderr_size=len(result.stderr),
        files=_index(result.files),
        bundle_base64=pack([result.stdout, result.stderr, *result.files.values()]),
        seconds=result.seconds,
        backend=result.backend,
        isolation=result.isolation.value,
    )


def result_of(outcome: SandboxOutcome) -> SandboxResult:
    """The message as a result. Raises SandboxUnavailable, UnsafePath, InvalidInput as the host did."""
    if outcome.verdict == "infra":
        raise SandboxUnavailable(f"sandbox host {outcome.host_id}: {outcome.reason}")
    if outcome.verdict == "unsafe_path":
        raise UnsafePath(outcome.reason)
    if outcome.verdict == "invalid_input":
        raise InvalidInput(outcome.reason)
    sizes = [outcome.stdout_size, outcome.stderr_size, *(file.size for file in outcome.files)]
    stdout, stderr, *contents = unpack(outcome.bundle_base64, sizes)
    return SandboxResult(
        verdict=Verdict(outcome.verdict),
        exit_code=outcome.exit_code,
        stdout=stdout,
        stderr=stderr,
        files=dict(zip(_unique([file.path for file in outcome.files]), contents, strict=True)),
        seconds=outcome.seconds,
        backend=outcome.backend,
        isolation=Isolation(outcome.isolation),
    )


def _index(files: Any) -> tuple[BundledFile, ...]:
    return tuple(BundledFile(path=path, size=len(content)) for path, content in files.items())


def _unique(paths: Sequence[str]) -> Sequence[str]:
    if len(set(paths)) < len(paths):
        raise DecodeError("a path appears twice", "\n".join(paths).encode("utf-8", "replace"))
    return paths
