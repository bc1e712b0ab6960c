"""The host's side of the protocol with a guest: send the job, read frames, keep the time, judge the outcome.

The format is described in guest.wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from contracts.base.errors import InvalidInput, SandboxUnavailable
from contracts.base.failpoints import failpoint
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult, Verdict
from sandbox_runner.engine.payload import MEGABYTE, Job, collect_bytes, collect_files
from sandbox_runner.engine.tar_reader import TarRefused, read_tar
from sandbox_runner.guest import wire

GRACE_SECONDS = 1.0
"""The guest ends the program at its wall time. So much later the host ends the guest."""
START_SECONDS = 30.0
COLLECT_SECONDS = 15.0
_MAX_FRAME = MEGABYTE
_TAR_BYTES_PER_MEMBER = 4 * 512 + 2 * 1024
"""The most bytes that a member adds to its content: a header, a pax header with its record, padding."""

_ENDS = {"timeout": Verdict.TIMEOUT, "oom": Verdict.OOM, "output_limit": Verdict.OUTPUT_LIMIT}


class NeverStarted(SandboxUnavailable):
    """The sandbox failed before the program started."""


class GuestChannel(Protocol):
    """The connection to process 1 of one sandbox."""

    async def send(self, data: bytes) -> None:
        """Write to its standard input. Raises ConnectionError when it has ended."""

    async def receive(self) -> bytes:
        """Read some bytes of its standard output; b"" at the end."""

    async def diagnosis(self) -> str:
        """Return what the launcher wrote to standard error, for an error message."""


@dataclass(slots=True)
class Transcript:
    """Everything that a guest sent."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    tar: bytearray = field(default_factory=bytearray)
    """The collected files as a tar stream."""

    started_at: float | None = None
    """When the program started, by the monotonic clock."""

    result: dict[str, Any] | None = None
    """How the program ended (see guest.supervise.run); None when the guest ended or timed out before that."""

    complete: bool = False
    """Whether nothing more is to come."""

    refused: str | None = None
    """Why the files were refused."""

    timed_out: bool = False
    """Whether the host stopped waiting for the guest."""


async def run_job(channel: GuestChannel, request: SandboxRequest, job: Job) -> Transcript:
    """Run the job over the channel, within its time. The caller must end the sandbox afterwards in any case.

    Raises NeverStarted, SandboxUnavailable when the sandbox fails, InvalidInput when its files do not fit.
    """
    transcript = Transcript()
    loop = asyncio.get_running_loop()
    heartbeats: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(START_SECONDS) as clock:
            await _send_job(channel, job)
            heartbeats = asyncio.create_task(send_heartbeats(channel))
            frames = Frames(channel)
            while not transcript.complete and (frame := await frames.next()) is not None:
                kind, data = frame
                _handle_frame(transcript, request, job, kind, data)
                if kind == wire.STARTED:
                    transcript.started_at = time.monotonic()
                    clock.reschedule(loop.time() + request.limits.wall_seconds + GRACE_SECONDS)
                    failpoint("sandbox.running")
                elif kind == wire.RESULT:
                    clock.reschedule(loop.time() + COLLECT_SECONDS)
    except TimeoutError:
        transcript.timed_out = True
    finally:
        if heartbeats:
            heartbeats.cancel()
    if transcript.started_at is None:
        why = "it did not start in time" if transcript.timed_out else "it ended before the program started"
        raise NeverStarted(f"the sandbox failed: {why}. {await channel.diagnosis()}".rstrip())
    return transcript


async def _send_job(channel: GuestChannel, job: Job) -> None:
    try:
        await channel.send(job.blocks)
    except ConnectionError:
        return  # what the guest sent before it ended says more


async def send_heartbeats(channel: GuestChannel) -> None:
    """Show the guest that the host still runs, until cancelled."""
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(wire.BEAT_SECONDS)
            await channel.send(wire.BEAT)


class Frames:
    """The frames that a guest sends."""

    def __init__(self, channel: GuestChannel) -> None:
        self._channel = channel
        self._buffer = bytearray()

    async def next(self) -> tuple[bytes, bytes] | None:
        """Read the next frame as (kind, data); None at the end."""
        head = await self._read(wire.HEAD.size)
        if head is None:
            return None
        kind, length = wire.HEAD.unpack(head)
        if length > _MAX_FRAME:
            raise SandboxUnavailable(f"the sandbox sent a frame of {length} bytes, {_MAX_FRAME} are allowed")
        data = await self._read(length)
        return None if data is None else (kind, data)

    async def _read(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            part = await self._channel.receive()
            if not part:
                return None
            self._buffer += part
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


def _handle_frame(
    transcript: Transcript, request: SandboxRequest, job: Job, kind: bytes, data: bytes
) -> None:
    if kind in {wire.STDOUT, wire.STDERR}:
        target = transcript.stdout if kind == wire.STDOUT else transcript.stderr
        room = request.limits.output_bytes - len(transcript.stdout) - len(transcript.stderr)
        target += data[: max(room, 0)]
    elif kind == wire.TAR:
        transcript.tar += data
        limits = request.limits
        if len(transcript.tar) > collect_bytes(limits) + _TAR_BYTES_PER_MEMBER * (collect_files(limits) + 10):
            transcript.refused, transcript.complete = "the tar stream is longer than the limits allow", True
    elif kind == wire.RESULT:
        result = json.loads(data)
        if result["nonce"] != job.nonce:
            raise SandboxUnavailable("the sandbox sent a result that is not its own")
        transcript.result = result
    elif kind == wire.REFUSED:
        transcript.refused, transcript.complete = data.decode("utf-8", "replace"), True
    elif kind == wire.BAD_INPUT:
        raise InvalidInput(f"files: cannot be written: {data.decode('utf-8', 'replace')}")
    elif kind == wire.BROKEN:
        kind_of = SandboxUnavailable if transcript.started_at else NeverStarted
        raise kind_of(f"the sandbox failed: {data.decode('utf-8', 'replace')}")
    elif kind == wire.END:
        transcript.complete = True


def judge(
    transcript: Transcript, request: SandboxRequest, *, backend: str, isolation: Isolation, oom: bool
) -> SandboxResult:
    """Turn a transcript into a result. `oom`: the kernel killed a process of the sandbox for memory."""
    verdict, exit_code = verdict_of(transcript, oom)
    files: dict[str, bytes] = {}
    if transcript.refused is None and transcript.complete and request.collect:
        try:
            files = read_tar(
                transcript.tar,
                max_bytes=collect_bytes(request.limits),
                max_members=2 * collect_files(request.limits),
            )
        except TarRefused as refused:
            transcript.refused = str(refused)
    if transcript.refused is not None:
        verdict = Verdict.POLICY
        transcript.stderr += f"\nsandbox: files refused: {transcript.refused}\n".encode()
    return SandboxResult(
        verdict=verdict,
        exit_code=exit_code,
        stdout=bytes(transcript.stdout),
        stderr=bytes(transcript.stderr),
        files=files,
        seconds=_seconds(transcript),
        backend=backend,
        isolation=isolation,
    )


def verdict_of(transcript: Transcript, oom: bool) -> tuple[Verdict, int | None]:
    """Return how the program ended, and its exit code unless it was ended from outside."""
    if transcript.result is None:
        if transcript.timed_out:
            return Verdict.TIMEOUT, None
        return (Verdict.OOM if oom else Verdict.KILLED), None
    end, code = transcript.result["end"], transcript.result["code"]
    if end in _ENDS:
        return _ENDS[end], None
    if oom or transcript.result["oom_kills"]:
        return Verdict.OOM, None
    if not transcript.complete:
        return Verdict.KILLED, None
    return (Verdict.OK if code == 0 else Verdict.FAILED), code


def _seconds(transcript: Transcript) -> float:
    if transcript.result is not None:
        return float(transcript.result["seconds"])
    return time.monotonic() - (transcript.started_at or 0.0)
