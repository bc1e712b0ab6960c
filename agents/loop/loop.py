"""The loop: ask, act, observe, until the model says that it is done or a limit is reached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Protocol

from agents.loop.conversation import Conversation
from agents.loop.ends import FINISH, USUAL_ENDS, Ends, Finish, GiveUp
from agents.loop.record import CallTime, Ending, StepRecord, StepTime
from agents.loop.seen import step_taken
from agents.loop.step import ModelStep, read_step, unreadable
from agents.sdk.exchange_log import LastStep
from agents.tools.bench import Bench
from agents.tools.planning import shown_todo
from agents.tools.tool import Tool, ToolRefused
from contracts.base.errors import AgentFailure, InvalidInput, LimitExceeded, UnsafePath
from contracts.messages.payloads import Usage
from contracts.messages.steps import StepTaken
from contracts.messages.suspension import Suspended
from contracts.ports.content import ToolCall
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.text_form import MOST_CALLS

_MISTAKES: Final = 3
_REPEATS: Final = 3
_PROSE: Final = 2
_SUMMARY: Final = 2_000
_TODO_SHOWN: Final = 5
"""After so many steps the list of what is to be done is shown again."""


class StepLog(Protocol):
    """Asks the model, and keeps what followed its answers. Raises what ExchangeLog does."""

    last_step: LastStep

    @property
    def usage(self) -> Usage: ...

    @property
    def attempt(self) -> int:
        """Of the task, 1 for the first."""

    async def complete(self, request: ModelRequest) -> ModelResponse: ...

    async def step(self) -> bytes | None:
        """What was stored behind the last answer."""

    async def note_step(self, content: bytes) -> None:
        """Store what followed the last answer; durable when this returns."""


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """Where a loop ends."""

    steps: int = 60
    tokens: int = 3_000_000
    """Read and written by the model, of this execution."""
    characters: int = 300_000
    """The most of a conversation."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a loop is to do."""

    purpose: str
    """A label, such as "coder.step"."""
    system: str
    text: str


class Loop:
    """One agent's work in a workspace.

    After each step its answer, what it showed and the tree are stored, in this order. A successor reads the
    steps that are complete, opens the last tree, and repeats nothing of them; requests are the same whether
    its model calls tools or writes calls as text.
    """

    def __init__(
        self,
        log: StepLog,
        tools: Sequence[Tool[Any]],
        open_bench: Callable[[str], Awaitable[Bench]],
        limits: LoopLimits = LoopLimits(),
        ends: Ends = USUAL_ENDS,
        on_step: Callable[[StepTaken], Awaitable[None]] | None = None,
        unoffered: Collection[str] = (),
    ) -> None:
        """`open_bench` opens the workspace at a tree, "" for that which the task starts from.

        on_step: is told each step that is taken here. unoffered: tools that a model is not told of, and may
        call by habit all the same.
        """
        self._on_step = on_step
        self._log = log
        self._ends = ends
        self._tools = {tool.name: tool for tool in (*tools, *ends.tools)}
        offered = (tool for tool in self._tools.values() if tool.name not in unoffered)
        self._described = tuple(tool.described for tool in offered)
        self._open_bench = open_bench
        self._limits = limits
        self.bench: Bench | None = None
        """None as long as nothing had to be done."""
        self._last = StepRecord((), "", "", ())
        self._mistakes = 0
        self._prose = 0
        self._refusal = ""
        """Why the last step could not have the end that it asked for."""
        self._unkept = ""
        """Why what was changed is in no tree yet; "" where it is."""
        self._times: dict[int, CallTime] = {}
        """Of the calls of this step, by their place in it."""

    @property
    def tree(self) -> str:
        """The tree after the last step; "" when nothing was changed."""
        return self._last.tree

    @property
    def is_kept(self) -> bool:
        """Whether all that was changed is in that tree."""
        return not self._unkept

    async def run(self, assignment: Assignment) -> Ending:
        """Work. Raises AgentFailure for a model that makes no usable step or repeats itself."""
        conversation = Conversation(assignment.text, self._limits.steps, self._limits.characters)
        for number in range(1, self._limits.steps + 1):
            if self._log.usage.input_tokens + self._log.usage.output_tokens > self._limits.tokens:
                return Ending("exhausted", f"its {self._limits.tokens} tokens are used", number - 1)
            request = ModelRequest(
                assignment.purpose, assignment.system, conversation.messages, tools=self._described
            )
            step = await read_step(await self._log.complete(request), number, self._ends.finish.name)
            if ending := await self._ending(step, number):
                await self._tell(assignment, number, step, ())
                return ending
            record = await self._after(assignment, step, number)
            conversation.add(step, record.results, record.note)
            if conversation.repeats(_REPEATS):
                message = f"the same step was taken {_REPEATS} times, with the same outcome"
                raise AgentFailure(message, code="repeats_itself")
        return Ending("exhausted", f"its {self._limits.steps} steps are used", self._limits.steps)

    async def _ending(self, step: ModelStep, number: int) -> Ending | None:
        """The end that a step asks for, if it can have it."""
        self._refusal = ""
        self._prose = self._prose + 1 if step.is_prose else 0
        if self._prose >= _PROSE and self._ends.finish is FINISH:
            # It was told how to end, and says again in its own words that it has ended.
            return Ending("finished", step.text.strip()[:_SUMMARY], number)
        asked = self._ends.asked_for(step)
        if isinstance(asked, GiveUp):
            return Ending("given_up", asked.reason, number)
        if asked is None or await self._stored(step):
            return None  # what is stored behind such a step is why it was refused
        try:
            await self._ends.check(asked)
        except ToolRefused as error:
            self._refusal = str(error)
            return None
        if isinstance(asked, Finish):
            return Ending("finished", asked.summary, number)
        return Ending("asked", "", number, asked)

    async def _tell(
        self, assignment: Assignment, number: int, step: ModelStep, results: Sequence[str]
    ) -> None:
        if self._on_step is not None:
            role = assignment.purpose.partition(".")[0]
            await self._on_step(step_taken(role, number, self._limits.steps, step, results))

    async def _after(self, assignment: Assignment, step: ModelStep, number: int) -> StepRecord:
        """What follows a step: as it was stored, or by taking it now."""
        self._mistakes = self._mistakes + 1 if step.problem else 0
        if self._mistakes >= _MISTAKES:
            raise AgentFailure(
                f"{_MISTAKES} answers in a row cannot be used: {step.problem}", code="invalid_answer"
            )
        if stored := await self._stored(step):
            return self._done(stored)
        self._times.clear()
        results, saving = await self._results(step) if step.calls else (), time.time()
        note, tree = "" if step.calls else step.problem, self._last.tree
        try:
            tree = await self._snapshot(step)
        except (LimitExceeded, UnsafePath) as error:
            self._unkept = str(error)
            note = (
                f"Your work is there, but would be lost with this sandbox: {error}. Remove what you do not "
                "need, and it is kept again."
            )
        todo = self.bench.todo if self.bench else self._last.todo
        if todo and number % _TODO_SHOWN == 0:
            note = "\n\n".join(filter(None, (note, f"To do:\n{shown_todo(todo)}")))
        calls = tuple(self._times[place] for place in sorted(self._times))
        took = StepTime(self._log.attempt, calls, (saving, time.time()))
        record = self._done(StepRecord(results, note, tree, self._written(), todo, step.digest, took))
        await self._log.note_step(record.encode())
        await self._tell(assignment, number, step, results)
        return record

    def _done(self, record: StepRecord) -> StepRecord:
        self._last, self._log.last_step = record, LastStep(record.tree, record.written)
        return record

    async def _stored(self, step: ModelStep) -> StepRecord | None:
        """What is stored behind this very answer; None once a workspace is open here, where it must be done.

        Another worker of this attempt, taken for dead, may have stored an answer of its own, or its record.
        """
        if self.bench is not None or not (stored := await self._log.step()):
            return None
        record = StepRecord.decode(stored)
        return record if record.follows(step.digest, len(step.calls)) else None

    async def _results(self, step: ModelStep) -> tuple[str, ...]:
        """Take a step. One that would suspend the work is refused where that would lose what was done."""
        try:
            return await self._take(step)
        except Suspended:
            if not self._unkept:
                raise
        return (f"refused: nobody can be asked now, as what was changed cannot be kept: {self._unkept}",)

    async def _take(self, step: ModelStep) -> tuple[str, ...]:
        """Do the calls in their order, those side by side that follow each other and only look."""
        bench = await self.opened()
        shown: list[str] = []
        numbered = enumerate(step.calls)
        for only_looks, group in groupby(numbered, lambda one: self._only_looks(one[1])):
            if only_looks:
                shown += await asyncio.gather(*(self._shown(bench, step, call, at) for at, call in group))
            else:
                shown += [await self._shown(bench, step, call, at) for at, call in group]
        return tuple(shown)

    async def _shown(self, bench: Bench, step: ModelStep, call: ToolCall, place: int) -> str:
        started = time.time()
        shown = await self._called(bench, step, call, place)
        refused = shown.startswith("refused: ")
        self._times[place] = CallTime(call.name[:100], started, time.time(), refused)
        return shown

    async def _called(self, bench: Bench, step: ModelStep, call: ToolCall, place: int) -> str:
        tool, arguments = self._tools.get(call.name), call.parsed
        try:
            if place >= MOST_CALLS:
                raise ToolRefused(f"not done: at most {MOST_CALLS} calls are made in one step")
            if tool is None:
                raise ToolRefused(f"there is no such tool; there are {', '.join(self._tools)}")
            if arguments is None:
                raise ToolRefused(unreadable(call, step))
            if tool.alone and len(step.calls) > 1:
                raise ToolRefused("it must be the only call of its step")
            if tool in self._ends.tools:
                tool.read(arguments)
                raise ToolRefused(self._refusal or "it must be the only call of its step")
            await bench.permit(call.name, call.arguments, arguments, bench.workspace)
            return await tool.call(bench, arguments)
        except (ToolRefused, InvalidInput) as error:
            return f"refused: {error}"

    async def opened(self) -> Bench:
        """The workspace, opened by the first call at the tree after the last step."""
        if self.bench is None:
            self.bench = await self._open_bench(self._last.tree)
            self.bench.written.update(self._last.written)
            self.bench.todo = self._last.todo
        return self.bench

    def _only_looks(self, call: ToolCall) -> bool:
        tool = self._tools.get(call.name)
        return tool is None or tool.reads_only

    async def _snapshot(self, step: ModelStep) -> str:
        """The tree after a step; that of before where it can have changed nothing."""
        if self.bench is None or all(self._only_looks(call) for call in step.calls):
            return self._last.tree
        tree, self._unkept = await self.bench.workspace.snapshot(), ""
        return tree

    def _written(self) -> tuple[str, ...]:
        return tuple(sorted(self.bench.written)) if self.bench else self._last.written
