"""Prompts from package data. Equal inputs give equal bytes everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from agents.sdk.prompting import canonical_json, fenced


def load_prompt(name: str) -> str:
    """A prompt that ships."""
    return resources.files("agents.roles").joinpath(f"prompts/{name}.md").read_text("utf-8")


def system_prompt(name: str, schema: Mapping[str, Any]) -> str:
    """The role's prompt, the rules that all roles share, and the schema the answer must fit."""
    rules = load_prompt("common")
    return f"{load_prompt(name)}\n{rules}\n{fenced(canonical_json(schema), 'json')}\n"
