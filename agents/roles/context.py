"""Parts of prompts that describe a task, shared by the shipped agents, and checks of their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agents.sdk.prompting import canonical_json, file_blocks, section
from agents.sdk.task import Task
from agents.testing.source import CHECKED_SUFFIXES, content_problems
from contracts.base.errors import AgentFailure, InvalidDocument, LimitExceeded
from contracts.base.languages import LANGUAGES, Language, serves_tests
from contracts.base.paths import covers
from contracts.base.processes.bounded_call import bounded_call
from contracts.base.strict_json import to_json, validate
from contracts.documents.reports import CodeArtifacts, Contract

_CONTEXT_FILES: Final = 20
_SHOWN: Final = (*(suffix for language in LANGUAGES for suffix in language.suffixes), ".toml", ".md", ".txt")


async def assignment(task: Task) -> str:
    """Return the sections that start every prompt: the request, the task, what it may write, the contract."""
    item = task.item
    contract = await find_contract(task)
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


async def find_contract(task: Task) -> Contract | None:
    """Return the contract among the inputs, else the first that an earlier task reported, else None."""
    for raw in _possible_contracts(task):
        try:
            return await bounded_call(len(raw), validate, Contract, raw, "contract")
        except (InvalidDocument, LimitExceeded):
            continue
    return None


def _possible_contracts(task: Task) -> Iterator[bytes]:
    for path in task.item.input_artifacts:
        if path.endswith(".json") and path in task.files:
            yield task.files[path]
    for task_id in sorted(task.reports):
        if "contract_id" in task.reports[task_id]:
            yield to_json(dict(task.reports[task_id]), "contract")


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


async def check_code(task: Task, code: CodeArtifacts, *, needed: Iterable[str] = ()) -> None:
    """Raise AgentFailure for paths that may not be written, invalid files and missing `needed` files.

    Raises LimitExceeded for files that take too long to check.
    """
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
        f"file {path!r} appears more than once" for path, times in sorted(Counter(paths).items()) if times > 1
    ]
    problems += await _content_problems(code)
    kept = set(task.files) | set(paths)
    problems += [f"file {path!r} is missing from the answer" for path in needed if path not in kept]
    if problems:
        raise AgentFailure(bullets(problems), code="invalid_code")


def _belongs_to_tester(task: Task, path: str) -> bool:
    return task.item.agent_role != "tester" and serves_tests(path) and task.authors.get(path) == "tester"


async def _content_problems(code: CodeArtifacts) -> list[str]:
    files = [
        (change.path, change.content)
        for change in code.files
        if change.content is not None and change.path.endswith(CHECKED_SUFFIXES)
    ]
    return await bounded_call(sum(len(content) for _, content in files), content_problems, files)


def as_files(code: CodeArtifacts) -> dict[str, bytes | str | None]:
    """Convert the changes to `AgentResult.files`."""
    return {change.path: change.content for change in code.files}
