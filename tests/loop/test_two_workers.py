"""Two workers at one attempt, one of them taken for dead: neither's step is taken for the other's."""

from __future__ import annotations

import pytest

from agents.loop.record import StepRecord
from agents.loop.step import ModelStep
from contracts.ports.content import ToolCall
from tests.agents.support import ExchangesInMemory, ScriptedModel
from tests.loop.lines import WORK, lines_loop, lines_of
from tests.loop.test_loop import step, turns_of

DONE = step(("finish", {"summary": "written"}))


def adds(*texts: str) -> str:
    return step(*[("add", {"text": text}) for text in texts])


class LooksEarly(ExchangesInMemory):
    """Finds nothing under some keys: it looked before the other had saved."""

    def __init__(self, of_other: ExchangesInMemory, *unseen: str) -> None:
        super().__init__()
        self.kept = of_other.kept
        self._unseen = unseen

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        if key.startswith(self._unseen):
            return None
        return await super().load_exchange(workflow_id, task_id, key)


@pytest.mark.parametrize("second", [("b",), ("b", "c")])
async def test_a_step_of_another_answer_is_none_of_this_one(second: tuple[str, ...]) -> None:
    store = ExchangesInMemory()
    await lines_loop(store, ScriptedModel(adds("a"), DONE))[0].run(WORK)
    model = ScriptedModel(adds(*second), DONE)
    loop, _ = lines_loop(LooksEarly(store, "0:"), model)
    await loop.run(WORK)
    assert lines_of(loop.bench) == list(second)
    assert all(f"added {text}" in turns_of(model.requests[1])[-1] for text in second)
    successor, _ = lines_loop(store, ScriptedModel())
    await successor.run(WORK)
    assert successor.tree == " ".join(second), "what is stored fits together"
    assert successor.bench is None


async def test_a_stored_step_is_done_in_a_workspace_that_is_open() -> None:
    store = ExchangesInMemory()
    await lines_loop(store, ScriptedModel(adds("a"), adds("b"), DONE))[0].run(WORK)
    loop, log = lines_loop(LooksEarly(store, "0:", "step:0:"), ScriptedModel(adds("a")))
    await loop.run(WORK)
    assert log.usage.model_calls == 1, "later answers are found"
    assert lines_of(loop.bench) == ["a", "b"]
    assert loop.tree == "a b"


def test_a_record_without_a_digest_needs_a_result_for_each_call() -> None:
    taken = ModelStep((ToolCall("add", "{}"), ToolCall("add", "{}")))
    kept = b'{"results": ["1", "2"], "note": "", "tree": "t", "written": [], "todo": []}'
    record = StepRecord.decode(kept)
    assert record.follows(taken.digest, 2)
    assert not record.follows(taken.digest, 1)
    assert StepRecord.decode(record.encode()) == record
