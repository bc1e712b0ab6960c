"""The host's side of one execution: send the job, read the frames, keep the clock, judge the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from contracts.base.errors import InvalidInput, SandboxUnavailable
from contracts.base.failpoints import failpoint
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult, Verdict
from sandbox_runner.engine.payload import MEGABYTE, Job, collect_bytes, collect_files
from sandbox_runner.engine.tar_reader import TarRefused, read_tar
from sandbox_runner.guest import wire

# The guest ends the program at its wall time; this much later the host ends the guest.
GRACE_SECONDS = 1.0
START_SECONDS = 30.0
COLLECT_SECONDS = 15.0
_MAX_FRAME = MEGABYTE
# A member costs a header, a pax header with its record, and padding.
_TAR_BYTES_PER_MEMBER = 4 * 512 + 2 * 1024

_T = TypeVar("_T")
_ENDS = {"timeout": Verdict.TIMEOUT, "oom": Verdict.OOM, "output_limit": Verdict.OUTPUT_LIMIT}


class NeverStarted(SandboxUnavailable):
    """The sandbox failed before the program began."""


class GuestChannel(Protocol):
    """A way to talk to process 1 of one sandbox."""

    async def send(self, data: bytes) -> None:
        """Write to its standard input. Raises ConnectionError when it is gone."""

    async def receive(self) -> bytes:
        """Some bytes of its standard output, b"" at the end."""

    async def diagnosis(self) -> str:
        """What the launcher complained about, for the message of an error."""


@dataclass(slots=True)
class Transcript:
    """What the guest said. `ended` is None when it fell silent or ran out of time before a verdict."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    tar: bytearray = field(default_factory=bytearray)
    started_at: float | None = None
    ended: dict[str, Any] | None = None
    complete: bool = False
    refused: str | None = None
    timed_out: bool = False


async def converse(link: GuestChannel, request: SandboxRequest, job: Job) -> Transcript:
    """Run the job over the link, within its time. The caller ends the sandbox afterwards, whatever happened.

    Raises SandboxUnavailable when the program was never started, InvalidInput when its files do not fit.
    """
    heard = Transcript()
    loop = asyncio.get_running_loop()
    beating: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(START_SECONDS) as clock:
            await _say(link, job)
            beating = asyncio.create_task(_beat(link))
            frames = _Frames(link)
            while not heard.complete and (frame := await frames.next()) is not None:
                kind, data = frame
                _note(heard, request, job, kind, data)
                if kind == wire.STARTED:
                    heard.started_at = loop.time()
                    clock.reschedule(loop.time() + request.limits.wall_seconds + GRACE_SECONDS)
                    failpoint("sandbox.running")
                elif kind == wire.RESULT:
                    clock.reschedule(loop.time() + COLLECT_SECONDS)
    except TimeoutError:
        heard.timed_out = True
    finally:
        if beating:
            beating.cancel()
    if heard.started_at is None:
        why = "it did not start in time" if heard.timed_out else "it ended before the program started"
        raise NeverStarted(f"the sandbox failed: {why}. {await link.diagnosis()}".rstrip())
    return heard


async def _say(link: GuestChannel, job: Job) -> None:
    try:
        await link.send(job.blocks)
    except ConnectionError:
        return  # what it said before it went is more telling


async def _beat(link: GuestChannel) -> None:
    """Let the guest know that somebody is waiting for it."""
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(wire.BEAT_SECONDS)
            await link.send(b".")


class _Frames:
    def __init__(self, link: GuestChannel) -> None:
        self._link = link
        self._buffer = bytearray()

    async def next(self) -> tuple[bytes, bytes] | None:
        head = await self._take(wire.HEAD.size)
        if head is None:
            return None
        kind, length = wire.HEAD.unpack(head)
        if length > _MAX_FRAME:
            raise SandboxUnavailable(f"the sandbox sent a frame of {length} bytes, {_MAX_FRAME} are allowed")
        data = await self._take(length)
        return None if data is None else (kind, data)

    async def _take(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            part = await self._link.receive()
            if not part:
                return None
            self._buffer += part
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _note(heard: Transcript, request: SandboxRequest, job: Job, kind: bytes, data: bytes) -> None:
    if kind in {wire.STDOUT, wire.STDERR}:
        target = heard.stdout if kind == wire.STDOUT else heard.stderr
        room = request.limits.output_bytes - len(heard.stdout) - len(heard.stderr)
        target += data[: max(room, 0)]
    elif kind == wire.TAR:
        heard.tar += data
        limits = request.limits
        if len(heard.tar) > collect_bytes(limits) + _TAR_BYTES_PER_MEMBER * (collect_files(limits) + 10):
            heard.refused, heard.complete = "the tar stream is longer than its files can be", True
    elif kind == wire.RESULT:
        result = json.loads(data)
        if result["nonce"] != job.nonce:
            raise SandboxUnavailable("the sandbox sent a result that is not its own")
        heard.ended = result
    elif kind == wire.REFUSED:
        heard.refused, heard.complete = data.decode("utf-8", "replace"), True
    elif kind == wire.BAD_INPUT:
        raise InvalidInput(f"files: cannot be laid out: {data.decode('utf-8', 'replace')}")
    elif kind == wire.BROKEN:
        kind_of = SandboxUnavailable if heard.started_at else NeverStarted
        raise kind_of(f"the sandbox failed: {data.decode('utf-8', 'replace')}")
    elif kind == wire.END:
        heard.complete = True


def judge(
    heard: Transcript, request: SandboxRequest, *, backend: str, isolation: Isolation, oom: bool
) -> SandboxResult:
    """The result. `oom`: the backend knows that the kernel ended something in there for memory."""
    verdict, exit_code = _verdict(heard, oom)
    files: dict[str, bytes] = {}
    if heard.refused is None and heard.complete and request.collect:
        try:
            files = read_tar(
                heard.tar,
                max_bytes=collect_bytes(request.limits),
                max_members=2 * collect_files(request.limits),
            )
        except TarRefused as refused:
            heard.refused = str(refused)
    if heard.refused is not None:
        verdict = Verdict.POLICY
        heard.stderr += f"\nsandbox: files refused: {heard.refused}\n".encode()
    return SandboxResult(
        verdict=verdict,
        exit_code=exit_code,
        stdout=bytes(heard.stdout),
        stderr=bytes(heard.stderr),
        files=files,
        seconds=_seconds(heard),
        backend=backend,
        isolation=isolation,
    )


def _verdict(heard: Transcript, oom: bool) -> tuple[Verdict, int | None]:
    if heard.ended is None:
        if heard.timed_out:
            return Verdict.TIMEOUT, None
        return (Verdict.OOM if oom else Verdict.KILLED), None
    end, code = heard.ended["end"], heard.ended["code"]
    if end in _ENDS:
        return _ENDS[end], None
    if oom or heard.ended["oom_kills"]:
        return Verdict.OOM, None
    if not heard.complete:
        return Verdict.KILLED, None
    return (Verdict.OK if code == 0 else Verdict.FAILED), code


def _seconds(heard: Transcript) -> float:
    if heard.ended is not None:
        return float(heard.ended["seconds"])
    return asyncio.get_running_loop().time() - (heard.started_at or 0.0)


async def to_the_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Await `work` without letting a cancellation cut it short; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001,S110,RUF100 - raised by task.result() below
            pass
    if cancelled is not None:
        raise cancelled
    return task.result()
