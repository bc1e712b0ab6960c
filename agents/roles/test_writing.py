"""Writes tests in a repository, in steps: beside those that are there, none of which gets weaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from agents.loop.ends import Ends, end
from agents.loop.loop import Loop
from agents.roles.asked_ends import Changed
from agents.roles.checks.still_run import no_longer_run
from agents.roles.checks.untouched import weakened
from agents.roles.checks.without_work import commands_for, run_commands, with_tests_alone
from agents.roles.context import assignment, bullets, failed_before, find_contract
from agents.roles.repository_work import changes_of, steps_of, take_steps
from agents.sdk.prompting import section
from agents.sdk.source import absent_tests
from agents.sdk.task import Task
from agents.testing.validation import merged_tree
from agents.tools.tool import ToolRefused
from contracts.base.errors import AgentFailure
from contracts.base.languages import NODE
from contracts.base.model import Model
from contracts.base.processes.bounded_call import bounded_call
from contracts.documents.reports import Contract

_BAD: Final = frozenset({"failed", "error"})
_NAMED: Final = 10


class GiveTests(Model):
    """The tests are written. Alone, after everything else."""

    summary: str = Field(min_length=1, max_length=2_000)
    why_none_fails: str = Field(
        default="",
        max_length=2_000,
        description="only where all of them pass without the work: why that is right, such as for a change "
        "that keeps behaviour",
    )


TESTED: Final = end("finish", GiveTests)


@dataclass(slots=True)
class WrittenTests:
    """What a tester wrote."""

    files: Mapping[str, bytes | str | None] = field(default_factory=dict)
    shown: str = ""
    """What they say where nothing of the work is done, in words."""


async def write_tests_in_steps(task: Task) -> WrittenTests:
    """Let the tester write tests, see them fail on the base, and leave the others as they are.

    Raises AgentFailure, and what the model, the workspace and the sandbox raise.
    """
    contract = await find_contract(task)
    skeletons = contract.test_skeletons if contract else ()
    wanted = [f"{skeleton.name}: {skeleton.description}".rstrip(": ") for skeleton in skeletons]
    parts = [
        await assignment(task),
        *await failed_before(task),
        section("Tests the contract asks for", bullets(wanted)),
    ]
    found = WrittenTests()

    async def check(asked: Model) -> None:
        assert isinstance(asked, GiveTests)
        found.files = await _checked(task, loop, contract)
        found.shown = await _without_work(task, found.files, asked.why_none_fails)

    loop = steps_of(task, Ends(TESTED, check=check))
    ending = await take_steps(task, loop, "\n".join(parts))
    if ending.asked is None:
        try:
            found.files = await _checked(task, loop, contract)
        except ToolRefused as error:
            raise AgentFailure(f"{error}\nThe end was: {ending.text}", code="invalid_tests") from None
    return found


async def _checked(task: Task, loop: Loop, contract: Contract | None) -> Mapping[str, bytes | str | None]:
    """The files that were written. Raises ToolRefused for what cannot be accepted of them."""
    changed = await changes_of(loop)
    if not changed.files:
        raise ToolRefused(f"no test was written{changed.note}")
    if problems := await _problems(task, changed, contract):
        raise ToolRefused(bullets(problems))
    return changed.files


async def _problems(task: Task, changed: Changed, contract: Contract | None) -> list[str]:
    texts = {path: _text(content) for path, content in changed.files.items() if content is not None}
    old = {path: _text(task.files[path]) for path in texts if path in task.files}
    problems = [f"{path} is gone; what is there stays" for path in changed.files if path not in texts]
    for path, before in old.items():
        size = len(before) + len(texts[path])
        if weaker := await bounded_call(size, weakened, before, texts[path], path):
            named = ", ".join(weaker[:_NAMED])
            problems.append(f"tests that are there stay as they are; these are not as they were: {named}")
    names = [skeleton.name for skeleton in contract.test_skeletons] if contract else []
    python = not any(path.endswith(NODE.suffixes) for path in texts)
    contents = list(texts.values())
    if absent := await bounded_call(sum(map(len, contents)), absent_tests, names, contents, python=python):
        problems.append("these tests are missing: " + ", ".join(absent))
    if not problems and (lost := await no_longer_run(task, changed.files)):
        problems.append(lost)
    needed = (path for path in task.item.output_artifacts if not path.endswith("/"))
    problems += [f"file {path!r} is missing" for path in needed if path not in {*task.files, *texts}]
    return problems


async def _without_work(task: Task, files: Mapping[str, bytes | str | None], why_none_fails: str) -> str:
    """What the tests say on the base. Raises ToolRefused when none fails there, and nobody says why."""
    start, baseline = await task.first_files(), await task.baseline()
    tree = with_tests_alone(merged_tree(task.files, files), start)
    commands = list(commands_for(path for path in files if path in tree))
    if not commands:
        return "what its tests say without the work is not known, as their language is not"
    seen = await run_commands(task, commands, tree)
    bad = [case.test_id for case in seen.results if case.outcome in _BAD]
    failing = [test for test in bad if baseline is None or not baseline.failed_before(test)]
    if failing:
        return f"{len(failing)} of its tests fail without the work"
    if why_none_fails:
        return f"none of its tests fails without the work: {why_none_fails}"
    passed = ", ".join(case.test_id for case in seen.results[:_NAMED]) or "no test was found"
    raise ToolRefused(
        f"on the base, where nothing of this work is done, none of your tests fails ({passed}), so they show "
        "nothing of it: ask for what the request asks for, or say in why_none_fails why that is right"
    )


def _text(content: bytes | str) -> str:
    return content if isinstance(content, str) else content.decode("utf-8", "replace")
