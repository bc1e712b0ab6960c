"""The numbers of commands: each is run once, and a repeated number is answered from memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.base.errors import InvalidInput
from contracts.ports.workspace import ExecResult

REMEMBERED: Final = 100
_REMEMBERED_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Known:
    command: tuple[tuple[str, ...], bytes]
    answer: asyncio.Task[ExecResult]

    @property
    def size(self) -> int:
        if not self.answer.done() or self.answer.cancelled() or self.answer.exception():
            return 0
        result = self.answer.result()
        return len(result.stdout) + len(result.stderr) + len(self.command[1])


class NumberedCommands:
    """The commands of one workspace, of which the last ones are remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._last = 0

    async def run(
        self, number: int, argv: Sequence[str], stdin: bytes, start: Callable[[], Awaitable[ExecResult]]
    ) -> ExecResult:
        """Run a command unless its number was used. It goes on when the caller is cancelled."""
        command = (tuple(argv), stdin)
        known = self._known.get(number)
        if known is None:
            known = self._add(number, command, start)
        elif known.command != command:
            raise InvalidInput(f"number {number}: belongs to another command, {list(known.command[0])!r}")
        return await asyncio.shield(known.answer)

    def _add(
        self,
        number: int,
        command: tuple[tuple[str, ...], bytes],
        start: Callable[[], Awaitable[ExecResult]],
    ) -> _Known:
        if 0 < number <= self._last:
            raise InvalidInput(f"number {number}: its answer is forgotten; the last {REMEMBERED} are kept")
        if number != self._last + 1:
            raise InvalidInput(f"number {number}: must be {self._last + 1}, one more than the last")

        async def answer() -> ExecResult:
            return await start()

        self._last = number
        known = self._known[number] = _Known(command, asyncio.create_task(answer()))
        # Nobody may be waiting for it any more.
        known.answer.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._forget()
        return known

    def _forget(self) -> None:
        size = sum(known.size for known in self._known.values())
        while len(self._known) > REMEMBERED or (size > _REMEMBERED_BYTES and len(self._known) > 1):
            size -= self._known.popitem(last=False)[1].size

    async def end(self) -> None:
        """Wait for the command that runs, whose sandbox has ended."""
        if running := [known.answer for known in self._known.values() if not known.answer.done()]:
            await asyncio.wait(running)
