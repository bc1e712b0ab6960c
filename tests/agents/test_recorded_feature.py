"""A feature over three files with two coders in parallel, as a model once planned, built and tested it.

The file beside the other trajectories holds the repository, the bodies of the model's answers by task, given
from the prompts alone, and the files that the run left.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from agents.roles.coder import CoderAgent
from agents.roles.tester import TesterAgent
from contracts.bus.memory_bus import MemoryBus
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.messages.channels import Channels
from contracts.messages.events import encode
from contracts.messages.payloads import TaskOutcome, TaskRequest
from contracts.ports.model import ModelClient
from planner_service.planning import Planner
from planner_service.repository_summary import RepositorySummary
from tests.agents.over_trees import OverTrees
from tests.agents.owner import CODER, Owner, running, worker
from tests.agents.support import request_event, task_request
from tests.models.rigs import http_client
from tests.support.model_server import ModelServer, Raw, Status, Step
from tests.support.model_wire import Received

RECORDED: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "trajectories/two_coders_at_once.json").read_text()
)
BASE: Final = {path: text.encode() for path, text in RECORDED["base"].items()}
RESULT: Final = {path: text.encode() for path, text in RECORDED["result"].items()}
TESTER: Final = Channels.requests("tester")
TITLES: Final = {
    "entry-tags": "Entries know their tags",
    "tag-report": "Report by tag, and of one tag",
    "tests": "Tests of tags",
}


class Played:
    """Gives each task its answers in their order, whichever task asks first."""

    def __init__(self) -> None:
        self.given: Counter[str] = Counter()

    def __call__(self, received: Received) -> Step:
        asked = str(received.body["messages"][1]["content"])
        task = next((name for name, title in TITLES.items() if f"task\n\n{title}\n" in asked), "planner")
        answers = RECORDED["answers"][task]
        self.given[task] += 1
        if self.given[task] > len(answers):
            return Status(418, f"{task} has no more answers")
        return Raw(json.dumps(answers[self.given[task] - 1]).encode())


def asked_for(item: TodoItem, base: str, *parents: str) -> TaskRequest:
    """What a worker is sent of a task of the plan."""
    sent = task_request(dispatch_id=item.task_id, parents=parents or (base,), writable=item.output_artifacts)
    changes = {"item": item, "request": RECORDED["request"], "base_commit": base}
    return sent.model_copy(update=changes)


async def outcomes(owner: Owner, stream: str, *requests: TaskRequest) -> list[TaskOutcome]:
    """What becomes of tasks that are sent together, in the order of their requests."""
    sent = [encode(request_event(request)) for request in requests]
    await owner.dispatch_raw(*sent, stream=stream)
    wanted = [request.dispatch_id for request in requests]
    found: dict[str, TaskOutcome] = {}
    while not found.keys() >= set(wanted):  # what was not acknowledged is sent again
        [event] = await owner.outcomes(1, seconds=60)
        found[event.data.dispatch_id] = event.data
        await owner.say(acknowledged=wanted)
    return [found[name] for name in wanted]


async def planned(model: ModelClient) -> TodoList:
    return await Planner(model).plan(RECORDED["request"], repository=RepositorySummary.of(BASE))


async def test_two_coders_at_once_leave_what_they_left(
    bus: MemoryBus, owner: Owner, over_trees: OverTrees
) -> None:
    await owner.serve(TESTER)
    base = over_trees.commit(BASE)
    played = Played()
    with ModelServer(played) as server:
        async with http_client("openai", server) as model:
            *coders, tests = (await planned(model)).items
            made = worker(
                bus,
                over_trees.commits,
                CoderAgent,
                TesterAgent,
                model=model,
                workspaces=over_trees.workspaces,
                slots=2,
            )
            async with running(made):
                # Not in the order in which they once came.
                built = await outcomes(owner, CODER, *(asked_for(item, base) for item in reversed(coders)))
                commits = [one.commit for one in built if one.commit is not None]
                [tested] = await outcomes(owner, TESTER, asked_for(tests, base, *commits))
    assert [one.status for one in built] == ["succeeded", "succeeded"], built
    assert played.given == {task: len(answers) for task, answers in RECORDED["answers"].items()}
    assert (tested.status, tested.verdict) == ("succeeded", "passed"), tested
    assert tested.summary == "25 passed, 0 failed; 1 of its tests fail without the work"
    assert tested.commit is not None
    tree = await over_trees.commits.open_tree(tested.commit)
    assert {path: tree[path] for path in {*BASE, *RESULT}} == BASE | RESULT
