"""The conversation with process 1 of a workspace: one command after the other, each with its answer.

The format is described in guest.wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

from contracts.base.errors import InvalidInput, SandboxUnavailable
from sandbox_runner.engine.payload import block
from sandbox_runner.engine.protocol import GRACE_SECONDS as _GRACE_SECONDS
from sandbox_runner.engine.protocol import Frames, GuestChannel, Transcript, send_heartbeats
from sandbox_runner.guest import wire
from sandbox_runner.guest.operations import SHORT

READY_SECONDS = 120.0
"""A large tree may have to be copied."""
_SPARE_SECONDS = 10.0


class GuestSession:
    """A conversation. Its caller asks for one thing at a time. Raises SandboxUnavailable, then for ever."""

    def __init__(self, channel: GuestChannel, nonce: str) -> None:
        self._channel = channel
        self._nonce = nonce
        self._frames = Frames(channel)
        self._beats: asyncio.Task[None] | None = None
        self._broken = ""

    async def begin(self, blocks: bytes) -> str:
        """Send the job; return how the tree was placed."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                with contextlib.suppress(ConnectionError):  # what it sent before it ended says more
                    await self._channel.send(blocks)
                self._beats = asyncio.create_task(send_heartbeats(self._channel))
                kind, data = await self._next()
        except TimeoutError:
            raise await self._failed("it was not ready in time") from None
        if kind != wire.READY:
            raise await self._failed(f"it sent {kind!r} before it was ready")
        placement: str = self._own(data)["placement"]
        return placement

    async def ask(self, command: dict[str, Any], stdin: bytes, *, seconds: float, most: int) -> Transcript:
        """Let the guest do one thing, and keep at most so many bytes of its output."""
        if self._broken:
            raise SandboxUnavailable(self._broken)
        transcript = Transcript()
        asked = wire.COMMAND + block(json.dumps(command).encode()) + block(stdin)
        try:
            async with asyncio.timeout(seconds + _GRACE_SECONDS + _SPARE_SECONDS):
                with contextlib.suppress(ConnectionError):
                    await self._channel.send(asked)
                while not transcript.complete:
                    self._take(transcript, most, *await self._next())
        except TimeoutError:
            raise await self._failed("it does not answer") from None
        return transcript

    def end(self) -> None:
        """Stop the heartbeats, and refuse what is asked later."""
        self._broken = self._broken or "the workspace is closed"
        if self._beats is not None:
            self._beats.cancel()

    def _take(self, transcript: Transcript, most: int, kind: bytes, data: bytes) -> None:
        if kind in {wire.STDOUT, wire.STDERR}:
            target = transcript.stdout if kind == wire.STDOUT else transcript.stderr
            target += data[: max(most - len(transcript.stdout) - len(transcript.stderr), 0)]
        elif kind == wire.STARTED:
            transcript.started_at = time.monotonic()
        elif kind == wire.RESULT:
            transcript.result, transcript.complete = self._own(data), True
        else:
            self._broken = f"the workspace's sandbox sent an unexpected frame {kind!r}"
            raise SandboxUnavailable(self._broken)

    async def _next(self) -> tuple[bytes, bytes]:
        frame = await self._frames.next()
        if frame is None:
            raise await self._failed("it ended")
        if frame[0] == wire.BROKEN:
            raise await self._failed(frame[1].decode("utf-8", "replace"))
        return frame

    def _own(self, data: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(data)
        if answer["nonce"] != self._nonce:
            raise SandboxUnavailable("the workspace's sandbox sent an answer that is not its own")
        return answer

    async def _failed(self, why: str) -> SandboxUnavailable:
        if not self._broken:
            self._broken = (
                f"the workspace's sandbox failed: {why}. {await self._channel.diagnosis()}".rstrip()
            )
        return SandboxUnavailable(self._broken)


def answer_of(transcript: Transcript, what: str) -> bytes:
    """Return what an operation on files answered.

    Raises InvalidInput with its reason, SandboxUnavailable where the sandbox had too little for it.
    """
    result = transcript.result or {}
    if result.get("end") != "exit":
        raise InvalidInput(f"{what}: ended by its limit ({result.get('end')}); ask for less")
    said = f"{what}: {transcript.stderr.decode('utf-8', 'replace').strip() or 'failed'}"
    if result["code"] == SHORT:
        raise SandboxUnavailable(f"the workspace's sandbox is short of resources: {said}")
    if result["code"]:
        raise InvalidInput(said)
    return bytes(transcript.stdout)
