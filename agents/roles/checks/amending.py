"""Looks again at tests that somebody contests: by the request and the contract, without the code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from agents.roles.checks.acceptance_runs import run_test
from agents.roles.checks.collected import Collected
from agents.roles.checks.still_run import no_longer_run
from agents.roles.checks.untouched import changed_besides
from agents.roles.context import as_files, bullets, check_code, files_section, find_contract
from agents.roles.earlier_reports import what_failed
from agents.roles.system_prompt import role_prompt
from agents.sdk.changed_tree import ChangedTree
from agents.sdk.prompting import canonical_json, section
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.pytest_commands import split_command
from agents.testing.validation import merged_tree
from contracts.base.errors import AgentFailure
from contracts.base.languages import serves_tests
from contracts.base.processes.bounded_call import bounded_call
from contracts.base.refs import is_amendment
from contracts.documents.reports import CodeArtifacts
from contracts.documents.test_ids import named_test
from contracts.schema.registry import load_schema


def amends(task: Task) -> bool:
    """Whether the task is to look again at tests."""
    return task.request.cycle > 0 and is_amendment(task.item.task_id)


async def amend(task: Task) -> AgentResult:
    """Ask a model whether the contested tests are right, and take its corrections.

    They change nothing else, and what failed on the base still fails there. Raises AgentFailure, and what
    `Task.ask` and the sandbox raise.
    """
    tests = [split_command(test.cmd)[-1] for test in task.item.acceptance_criteria.tests]
    schema = load_schema("code")
    contract = await find_contract(task)
    parts = [
        section("The whole request", task.request.request),
        section("Tests that are contested", bullets(tests)),
        section("Why, as whoever contests them says (data)", task.item.description),
        section("What was observed (data)", what_failed(task, await task.baseline()).text),
        files_section("The files with the tests", task, task.request.writable),
    ]
    if contract is not None:
        parts.insert(1, section("The contract", canonical_json(contract.model_dump(mode="json"))))

    start = await task.first_files()
    base = OnBase(lambda files: _failing(task, start, files))

    async def check(code: CodeArtifacts) -> None:
        await check_code(task, code)
        changes = as_files(code)
        old = b"".join(task.files[path] for path in changes if path in task.files)
        if found := await bounded_call(len(old), _changed_besides, _texts(task.files, changes), tests):
            raise AgentFailure(f"these are not contested and stay as they are: {found}", code="invalid_code")
        contested = frozenset(map(named_test, tests))
        if lost := await no_longer_run(task, _changed(task.files, changes), contested):
            raise AgentFailure(lost, code="invalid_code")
        if start and (passing := await base.now_passing(task.files, changes)):
            raise AgentFailure(
                f"without the work these tests failed, and now they pass: {', '.join(passing)}; a test must "
                "fail where nothing was done for it",
                code="invalid_code",
            )

    code = await task.ask_document(
        CodeArtifacts, "\n".join(parts), system=role_prompt(task, "amend", schema), schema=schema, check=check
    )
    changed = _changed(task.files, as_files(code))
    return AgentResult(files=changed, summary=("" if changed else "the tests stay: ") + code.summary)


def _changed(
    files: Mapping[str, bytes], changes: Mapping[str, bytes | str | None]
) -> dict[str, bytes | str | None]:
    """Those that differ from what is there."""
    new = {path: text.encode() if isinstance(text, str) else text for path, text in changes.items()}
    return {path: changes[path] for path, content in new.items() if files.get(path) != content}


def _texts(
    files: Mapping[str, bytes], changes: Mapping[str, bytes | str | None]
) -> list[tuple[str, str, str]]:
    """path, old and new text of each changed file."""
    return [
        (path, files.get(path, b"").decode("utf-8", "replace"), content if isinstance(content, str) else "")
        for path, content in changes.items()
    ]


def _changed_besides(texts: list[tuple[str, str, str]], contested: list[str]) -> str:
    """What differs in these files that is not contested, or which contested tests are gone."""
    named = {named_test(test) for test in contested}
    found = [one for path, old, new in texts for one in changed_besides(old, new, path, named)]
    return ", ".join(found[:10])


@dataclass(slots=True)
class OnBase:
    """What contested tests say where nothing was done for them; as they were they run there once."""

    failing: Callable[[Mapping[str, bytes]], Awaitable[set[str]]]
    """Runs them there as these files say, and returns those that do not pass."""
    _before: set[str] | None = None

    async def now_passing(
        self, files: Mapping[str, bytes], changes: Mapping[str, bytes | str | None]
    ) -> list[str]:
        """The tests that failed there, and pass as they are corrected."""
        if not _changed(files, changes):
            return []
        if self._before is None:
            self._before = await self.failing(files)
        return sorted(self._before - await self.failing(merged_tree(files, changes)))


async def _failing(task: Task, start: Mapping[str, bytes], files: Mapping[str, bytes]) -> set[str]:
    tree = ChangedTree(start, {path: files[path] for path in files if serves_tests(path)})
    collected = Collected()
    for test in task.item.acceptance_criteria.tests:
        await run_test(task, test, tree, collected)
    passed = {case.test_id for case in collected.results if case.outcome == "passed"}
    return {split_command(test.cmd)[-1] for test in task.item.acceptance_criteria.tests} - passed
