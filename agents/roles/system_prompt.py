"""System prompts from package data. Equal inputs give equal bytes on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from agents.sdk.prompting import canonical_json, fenced


def load_prompt(name: str) -> str:
    """Read `prompts/<name>.md`."""
    return resources.files("agents.roles").joinpath(f"prompts/{name}.md").read_text("utf-8")


def system_prompt(name: str, schema: Mapping[str, Any]) -> str:
    """Join the role's prompt, the rules that all roles share, and the schema that the answer must match."""
    rules = load_prompt("common")
    return f"{load_prompt(name)}\n{rules}\n{fenced(canonical_json(schema), 'json')}\n"
