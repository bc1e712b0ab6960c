"""The planner's prompts. Equal inputs give equal bytes on any machine, day and library version."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from importlib import resources
from string import Template
from typing import Any, Final

from contracts.base.answers.parts import part_wanted
from contracts.base.errors import Problem
from contracts.base.text import shortened
from contracts.documents.todo_list import Role
from planner_service.repository_summary import RepositorySummary

MAX_ECHO_CHARACTERS: Final = 20_000
MAX_SHOWN_PROBLEMS: Final = 20
MAX_PROBLEM_CHARACTERS: Final = 400

_DUTIES: Final = {
    Role.ARCHITECT: (
        "designs before code is written. Writes a Contract document (interfaces, data models, test names) "
        "to one JSON file such as `contract.json`. Comes first where there is more than one code file."
    ),
    Role.CODER: "writes code files after the contract. One task for each group of related files.",
    Role.TESTER: (
        "writes the tests of coders' files, and runs the acceptance tests. Depends on the coders whose code "
        "it tests; writes below `tests/`."
    ),
    Role.REVIEWER: "reads what was made and reports. Comes last, depends on the testers, writes no files.",
}


def system_prompt(
    schema: dict[str, Any], roles: Collection[str], max_tasks: int, *, in_repository: bool = False
) -> str:
    """Return the system prompt: instructions, the roles that can be planned, and the schema of the answer.

    In a repository agents see more and can do more than where everything is new.
    """
    duties = {str(role): text for role, text in _DUTIES.items()}
    lines = [f"- `{role}`: {duties.get(role, 'a role of this installation.')}" for role in _in_order(roles)]
    lines.append("- The debugger is called by the system when tests fail. Do not plan it.")
    name = "system_repository" if in_repository else "system"
    template = resources.files("planner_service").joinpath(f"prompts/{name}.md").read_text("utf-8")
    return Template(template).substitute(
        roles="\n".join(lines), max_tasks=max_tasks, schema=json.dumps(schema, indent=1, ensure_ascii=False)
    )


def request_prompt(request: str, repository: RepositorySummary | None, found: str = "") -> str:
    """Return the first turn: a summary of the repository, what an agent `found` in it, then the request.

    The summary is JSON, so text from the repository cannot break out of its block.
    """
    asked = f"{_found(found)}The request:\n\n{request}"
    if repository is None:
        return f"The repository is empty.\n\n{asked}"
    summary: dict[str, Any] = {
        "files": [{"path": path, "bytes": size} for path, size in repository.files],
        "files_not_listed": repository.omitted,
        "beginnings": [{"path": path, "text": text} for path, text in repository.texts],
    }
    if repository.map:
        summary["map_for_the_request"] = repository.map.split("\n")
    if repository.settings:
        summary["settings"] = repository.settings
    if repository.tests:
        summary["tests_of_the_repository"] = repository.tests
    data = json.dumps(summary, indent=1)
    return f"The repository exists. A summary, as data:\n\n```json\n{data}\n```\n\n{asked}"


def _found(text: str) -> str:
    """Say what an agent left that began with the whole request."""
    if not text:
        return ""
    data = json.dumps(text.split("\n"), indent=1)
    said = "An agent that was to do all of it alone asks for a plan. Why, and what it found, as data:"
    return f"{said}\n\n```json\n{data}\n```\n\n"


def echo(answer: str) -> str:
    """Return the model's own answer as it is sent back to it; of a long one, the beginning and the end."""
    if not answer.strip():
        return "(an empty answer)"
    # A lone surrogate cannot be sent.
    return shortened(answer, MAX_ECHO_CHARACTERS).encode("utf-8", "replace").decode("utf-8")


def repair_prompt(problems: Sequence[Problem], part: str = "") -> str:
    """Return the turn that says what was wrong, and asks for the part at this JSON path, or for the whole."""
    whole = "Answer with the whole corrected plan as one JSON document and nothing else."
    wanted = part_wanted(part) if part else whole
    return f"This is not a valid plan:\n\n{problem_list(problems)}\n\n{wanted}"


def problem_list(problems: Sequence[Problem]) -> str:
    """List the first MAX_SHOWN_PROBLEMS problems, one a line, each cut to MAX_PROBLEM_CHARACTERS."""
    lines = [f"- {str(problem)[:MAX_PROBLEM_CHARACTERS]}" for problem in problems[:MAX_SHOWN_PROBLEMS]]
    if (more := len(problems) - MAX_SHOWN_PROBLEMS) > 0:
        lines.append(f"- and {more} more")
    return "\n".join(lines)


def _in_order(roles: Collection[str]) -> list[str]:
    """Order roles: the shipped ones as they work one after the other, then the others by name."""
    shipped = [str(role) for role in _DUTIES]
    return sorted(roles, key=lambda role: (shipped.index(role) if role in shipped else len(shipped), role))
