"""Steps as whoever looks on is told of them, in lines."""

from __future__ import annotations

import asyncio

from agents.loop.loop import Loop
from contracts.base.secrets.redaction import Redactor
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, encode
from contracts.messages.steps import StepTaken
from contracts.ports.bus import Outgoing
from contracts.ports.content import TextBlock
from multi_agent.runtime.observing.step_watch import step_lines, steps_told
from tests.loop.conftest import Surround
from tests.loop.test_loop import WORK
from tests.loop.test_native import EDITS, FINISH, answer, call


def event(taken: StepTaken) -> TaskEvent[StepTaken]:
    return TaskEvent[StepTaken](
        id="e-1",
        source="worker/w",
        type=EventType.STEP_TAKEN,
        time="2026-01-01T00:00:00Z",
        workflowid="w1",
        taskid="code",
        data=taken,
    )


async def test_each_call_is_a_line_and_secrets_are_none(around: Surround) -> None:
    seen: list[StepTaken] = []

    async def see(taken: StepTaken) -> None:
        seen.append(taken)

    tells = call("run", command="echo\n  s3cr3t-t0ken")
    place = around(answer(EDITS, tells, call("read", path="no")), answer(TextBlock("Done.")), FINISH)
    loop, _ = place.loop(on_step=see)
    assert isinstance(loop, Loop)
    await loop.run(WORK)
    bus, lines, all_said = MemoryBus(MemoryBroker()), list[str](), asyncio.Event()

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 5:
            all_said.set()

    async with steps_told(bus, "w1", Redactor(["s3cr3t-t0ken"]), say):
        for taken in seen:
            await bus.broadcast([Outgoing(Channels.steps("w1"), encode(event(taken)))])
            await bus.broadcast([Outgoing(Channels.steps("other"), encode(event(taken)))])
        await asyncio.wait_for(all_said.wait(), 5)
    assert lines == [
        "code (coder) step 1 of 60: edit a.txt, ok",
        "code (coder) step 1 of 60: run echo [secret], ok",
        "code (coder) step 1 of 60: read no, refused",
        "code (coder) step 2 of 60: No tool was called, so nothing was done. Call `finish` if the task is "
        "done, `give_up` if it cannot be done, or the tool that you need next.",
        "code (coder) step 3 of 60: finish doubled, ok",
    ]


def test_a_call_without_a_name_is_one_too() -> None:
    taken = StepTaken.model_validate({"role": "coder", "number": 1, "most": 9, "calls": [{"tool": ""}]})
    assert list(step_lines(event(taken))) == ["code (coder) step 1 of 9: call, ok"]
