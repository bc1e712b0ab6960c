"""System prompts from package data. Equal inputs give equal bytes on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from agents.sdk.prompting import canonical_json
from agents.sdk.task import Task
from contracts.base.text import fenced


def load_prompt(name: str) -> str:
    """Read `prompts/<name>.md`."""
    return resources.files("agents.roles").joinpath(f"prompts/{name}.md").read_text("utf-8")


def role_prompt(task: Task, role: str, schema: Mapping[str, Any]) -> str:
    """Join the prompt of a role that answers once, its rules, and the schema of the answer."""
    in_repository = task.request.base_commit is not None
    return system_prompt(role, schema, "common_repository" if in_repository else "common")


def system_prompt(name: str, schema: Mapping[str, Any], rules: str) -> str:
    """Join the role's prompt, rules that several roles share, and the schema that the answer must match."""
    return f"{load_prompt(name)}\n{load_prompt(rules)}\n{fenced(canonical_json(schema), 'json')}\n"


def steps_prompt(role: str, *, unasked: bool = False) -> str:
    """Join the prompt of a role that works in steps, and the rules of such work.

    unasked: whether it would ask a person, and nobody can be asked.
    """
    rules = f"{load_prompt(f'{role}_steps')}\n{load_prompt('common_steps')}"
    return rules + load_prompt("unasked_steps") if unasked else rules
