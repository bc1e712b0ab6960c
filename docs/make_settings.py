"""Write docs/settings.md from the code. With --check, exit 1 when it is not what would be written."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from multi_agent.settings import Settings

PAGE = Path(__file__).resolve().parent / "settings.md"
HEAD = """# Settings

By environment variable; options of a command win (`multi-agent run --help` and the like list them).
Written by `python docs/make_settings.py` from `multi_agent/settings.py`.

| variable | default | meaning |
|---|---|---|
"""


def variables(name: str, field: FieldInfo) -> list[str]:
    """The variables that a setting is read from, as people know them."""
    if not isinstance(field.validation_alias, AliasChoices):
        return [f"MULTI_AGENT_{name.upper()}"]
    choices = [str(one) for one in field.validation_alias.choices]
    return [one for one in choices if one.removeprefix("MULTI_AGENT_") not in set(choices) - {one}]


def row(name: str, field: FieldInfo) -> str:
    """One setting."""
    shown = ", ".join(f"`{one}`" for one in variables(name, field))
    known = field.default is not None and name != "search_path"
    default = field.default
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"| {shown} | {f'`{default}`' if known else ''} | {field.description or ''} |\n"


def page() -> str:
    """The whole page."""
    return HEAD + "".join(row(name, field) for name, field in Settings.model_fields.items())


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(
            0 if PAGE.read_text("utf-8") == page() else f"{PAGE} is out of date: run this without --check"
        )
    PAGE.write_text(page(), "utf-8")
