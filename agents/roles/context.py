"""Parts of prompts that describe a task, shared by the shipped agents, and checks of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agents.sdk.prompting import canonical_json, file_blocks, section
from agents.sdk.task import Task
from agents.testing.pytest_commands import python_problem
from contracts.base.errors import AgentFailure, InvalidDocument
from contracts.base.languages import LANGUAGES, Language, serves_tests
from contracts.base.paths import covers
from contracts.base.strict_json import read_json, to_json, validate
from contracts.documents.reports import CodeArtifacts, Contract

_CONTEXT_FILES: Final = 20
_SHOWN: Final = (*(suffix for language in LANGUAGES for suffix in language.suffixes), ".toml", ".md", ".txt")


def assignment(task: Task) -> str:
    """Return the sections that start every prompt: the request, the task, what it may write, the contract."""
    item = task.item
    contract = find_contract(task)
    parts = [
        section("The whole request", task.request.request),
        section("Your task", f"{item.title}\n\n{item.description}"),
        section("Files you may write", bullets(task.request.writable)),
    ]
    if item.acceptance_criteria.tests:
        commands = [test.cmd for test in item.acceptance_criteria.tests]
        parts.append(section("Commands that must succeed in the end", bullets(commands)))
    parts += [section(f"Files in {language.name}", language.rules) for language in _languages(task)]
    if contract is not None:
        parts.append(section("The contract", canonical_json(contract.model_dump(mode="json"))))
    return "\n".join(parts)


def _languages(task: Task) -> Iterator[Language]:
    """Yield the languages of the task that have rules for the prompts."""
    item = task.item
    paths = (*item.output_artifacts, *item.input_artifacts)
    words = [word for test in item.acceptance_criteria.tests for word in test.cmd.split()]
    for language in LANGUAGES:
        used = any(path.endswith(language.suffixes) for path in paths)
        if language.rules and (used or language.program in words):
            yield language


def bullets(lines: Sequence[str]) -> str:
    """Format lines as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def find_contract(task: Task) -> Contract | None:
    """Return the contract among the inputs, else the first that an earlier task reported, else None."""
    for path in task.item.input_artifacts:
        if path.endswith(".json") and path in task.files:
            found = _as_contract(task.files[path])
            if found is not None:
                return found
    reports = [task.reports[task_id] for task_id in sorted(task.reports)]
    candidates = (_as_contract(to_json(dict(report), "contract")) for report in reports)
    return next((found for found in candidates if found is not None), None)


def _as_contract(raw: bytes) -> Contract | None:
    try:
        return validate(Contract, raw, "contract")
    except InvalidDocument:
        return None


def relevant_files(task: Task) -> list[tuple[str, bytes]]:
    """Return the existing files that the task writes or reads, then up to 20 other text files."""
    patterns = (*task.request.writable, *task.item.output_artifacts, *task.item.input_artifacts)
    named = [path for path in sorted(task.files) if any(covers(pattern, path) for pattern in patterns)]
    others = [path for path in sorted(task.files) if path not in set(named)]
    code = [path for path in others if path.endswith(_SHOWN)]
    return [(path, task.files[path]) for path in named + code[:_CONTEXT_FILES]]


def files_section(title: str, files: Iterable[tuple[str, bytes]]) -> str:
    """Put files under a heading, marked as data."""
    return section(title, file_blocks(files))


def check_code(task: Task, code: CodeArtifacts, *, needed: Iterable[str] = ()) -> None:
    """Raise AgentFailure for paths that may not be written, invalid files and missing `needed` files."""
    refused = [reason for change in code.files if (reason := task.refusal(change.path)) is not None]
    if refused:
        raise AgentFailure(bullets(refused), code="path_not_allowed")
    paths = [change.path for change in code.files]
    testers_files = [path for path in paths if _belongs_to_tester(task, path)]
    if testers_files:
        raise AgentFailure(
            bullets([f"file {path!r} is a tester's and stays as it is" for path in testers_files]),
            code="path_not_allowed",
        )
    problems = [
        f"file {path!r} appears more than once" for path in sorted(set(paths)) if paths.count(path) > 1
    ]
    for change in code.files:
        if change.content is not None:
            problems += _content_problems(change.path, change.content)
    kept = set(task.files) | set(paths)
    problems += [f"file {path!r} is missing from the answer" for path in needed if path not in kept]
    if problems:
        raise AgentFailure(bullets(problems), code="invalid_code")


def _belongs_to_tester(task: Task, path: str) -> bool:
    return task.item.agent_role != "tester" and serves_tests(path) and task.authors.get(path) == "tester"


def _content_problems(path: str, content: str) -> list[str]:
    if path.endswith(".py"):
        problem = python_problem(content)
        return [f"file {path!r}: {problem}"] if problem else []
    if path.endswith(".json"):
        try:
            read_json(content, path)
        except InvalidDocument:
            return [f"file {path!r} is not valid JSON"]
    return []


def as_files(code: CodeArtifacts) -> dict[str, bytes | str | None]:
    """Convert the changes to `AgentResult.files`."""
    return {change.path: change.content for change in code.files}
