"""What was approved and then changed is not executed, whatever was changed, however little."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contracts.documents.canonical_json import canonical_json
from contracts.documents.repository_settings import RepositorySettings
from contracts.documents.todo_list import AcceptanceCriteria, AcceptanceTest
from contracts.messages.approvals import WantedAction
from contracts.messages.budget import Budget, SpendingLimits
from orchestrator.core.approvals.actions import action_of
from orchestrator.core.events import Dispatch
from orchestrator.core.state import TaskState
from tests.orchestrator.approving import CALL, RUNS, approve, policy, rule, started, wants
from tests.orchestrator.plans import Play, commit_of, item

ASKED = item(
    "a",
    "first",
    description="Do it\nwell",
    input_artifacts=("in.py",),
    acceptance_criteria=AcceptanceCriteria(tests=(AcceptanceTest(cmd="pytest -q"),)),
)
BOTH = policy(*RUNS.rules, rule("coders", roles=("coder",), hours=8_000))


def ready(*, call: bool) -> Play:
    """A workflow from a repository in which task `a`, or a call of it, is approved."""
    play = started(BOTH, item("first", role="tester"), ASKED, start_from="b" * 40)
    play.succeed("first")
    approve(play)
    if call:
        wants(play)
        approve(play)
    assert play.status("a") == "ready"
    return play


def _item(name: str, value: Any) -> Callable[[Play], None]:
    def change(play: Play) -> None:
        task = play.workflow.tasks["a"]
        _set(play, task._replace(item=task.item.model_copy(update={name: value})))

    return change


def _set(play: Play, task: TaskState) -> None:
    play.workflow.evolve(None, [task])


def _header(name: str, value: Any) -> Callable[[Play], None]:
    return lambda play: play.workflow.evolve(play.workflow.header._replace(**{name: value}), [])


def _parent(commit: str) -> Callable[[Play], None]:
    """Another tip of what the task starts from: a byte, a mode or a link in a tree is another commit."""

    def change(play: Play) -> None:
        first = play.workflow.tasks["first"]
        play.workflow.evolve(None, [first._replace(commit=commit)])

    return change


def _flipped(text: str, place: int) -> str:
    return text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]


def _tips() -> Iterator[tuple[str, Callable[[Play], None]]]:
    tip = commit_of("first")
    for place in range(0, 40, 4):
        yield f"tip {place}", _parent(_flipped(tip, place))


OF_TASK: dict[str, Callable[[Play], None]] = {
    **dict(_tips()),
    "title": _item("title", "Another"),
    "description": _item("description", "Do it\nwell "),
    "description, invisibly": _item("description", "Do it\nwell\u200b"),
    "role": _item("agent_role", "reviewer"),
    "inputs": _item("input_artifacts", ("in.py", "more.py")),
    "outputs": _item("output_artifacts", ("./",)),
    "outputs reordered": _item("output_artifacts", ("b.py", "a.py")),
    "tests": _item("acceptance_criteria", AcceptanceCriteria()),
    "test command": _item(
        "acceptance_criteria", AcceptanceCriteria(tests=(AcceptanceTest(cmd="pytest  -q"),))
    ),
    "retries": _item("max_retries", 9),
    "time": _item("timeout_seconds", 601),
    "priority": _item("priority", 1),
    "cycles": _item("max_cycles", 3),
    "tag": _item("required_tag", "gpu"),
    "request": _header("request", "build it!"),
    "base": _header("base_commit", "c" * 40),
    "environment": _header("repository", RepositorySettings(setup="curl example.org")),
    "test runner": _header("repository", RepositorySettings(test="true")),
    "services": _header("repository", RepositorySettings(services=("redis",))),
    "budget": _header("budget", Budget(workflow=SpendingLimits.of(9.0))),
    "policy version": _header("approvals", policy(*BOTH.rules, version="2")),
    "policy rule": _header("approvals", policy(*RUNS.rules, rule("coders", roles=("coder",), hours=9))),
    "policy risk": _header(
        "approvals", policy(*RUNS.rules, rule("coders", roles=("coder",), hours=8_000, risk="low"))
    ),
}


def _call(**changed: Any) -> Callable[[Play], None]:
    def change(play: Play) -> None:
        task = play.workflow.tasks["a"]
        assert task.wanted is not None
        _set(play, task._replace(wanted=WantedAction(**(task.wanted.model_dump() | changed))))

    return change


OF_CALL: dict[str, Callable[[Play], None]] = {
    **{
        f"argument {place}": _call(arguments=_flipped(CALL.arguments, place))
        for place in range(len(CALL.arguments))
    },
    **{
        f"file {name} {place}": _call(files={**CALL.files, name: _flipped(digest, place)})
        for name, digest in CALL.files.items()
        for place in (0, 31, 63)
    },
    "arguments reordered": _call(arguments='{"seconds": 60, "command": "make deploy"}'),
    "a space more": _call(arguments='{"command": "make deploy", "seconds":  60}'),
    "tool": _call(tool="test"),
    "tree": _call(tree="a" * 39 + "b"),
    "a file less": _call(files={"Makefile": "b" * 64}),
    "a file more": _call(files={**CALL.files, "x": "d" * 64}),
    "files exchanged": _call(files={"Makefile": "c" * 64, "deploy.sh": "b" * 64}),
    "environment": _call(environment="venv-2"),
    "rule": _call(rule="coders"),
    "risk": _call(risk="low"),
}
CASES = [
    *((name, False, change) for name, change in OF_TASK.items()),
    *((f"{name}, before a call", True, change) for name, change in OF_TASK.items()),
    *((name, True, change) for name, change in OF_CALL.items()),
]


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize("call", [False, True])
def test_what_did_not_change_is_executed(call: bool) -> None:
    play = ready(call=call)
    play.dispatch("a")
    assert play.status("a") == "dispatched"


@pytest.mark.parametrize(("name", "call", "change"), CASES, ids=[name for name, *_ in CASES])
def test_what_changed_after_its_approval_is_not_executed(
    name: str, call: bool, change: Callable[[Play], None]
) -> None:
    play = ready(call=call)
    change(play)
    decision = play.give(Dispatch("a", "d"))
    assert play.status("a") == "waiting_approval", name
    assert "has changed since" in str(decision.journal)
    assert play.workflow.tasks["a"].attempt == int(call)


@pytest.mark.parametrize("call", [False, True])
def test_no_byte_of_the_canonical_form_may_differ(call: bool) -> None:
    play = started(RUNS, ASKED.model_copy(update={"dependencies": (), "requires_approval": not call}))
    if call:
        wants(play)
    action = canonical_json(action_of(play.workflow, play.workflow.tasks["a"]))
    for place, byte in enumerate(action):
        other = action[:place] + bytes([byte ^ 1]) + action[place + 1 :]
        refused = approve(play, wanted=hashlib.sha256(other).hexdigest()).refused
        assert refused is not None, place
    assert approve(play, wanted=hashlib.sha256(action).hexdigest()).refused is None
