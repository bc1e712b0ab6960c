"""Walks the commands of an installation without extras; what it finds is printed as JSON."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cli.walk.commands import all_commands
from tests.cli.walk.template import AWAY, USUAL, make_template
from tests.cli.walk.walking import Walker

NEEDS: Final[Mapping[str, Mapping[str, str]]] = {
    "postgres": {"DATABASE_URL": f"postgresql://nobody@{AWAY}/none", "MULTI_AGENT_MODEL": "replay"},
    "openai": {"MULTI_AGENT_MODEL": "openai:x", "OPENAI_BASE_URL": f"http://{AWAY}"},
    "anthropic": {"MULTI_AGENT_MODEL": "anthropic:x", "ANTHROPIC_BASE_URL": f"http://{AWAY}"},
    "gateway": {"MULTI_AGENT_MODEL": "openai:x", "OPENAI_BASE_URL": f"http://{AWAY}"},
    "gemini": {"MULTI_AGENT_MODEL": "gemini:x", "GEMINI_API_KEY": "k"},
    "gemini-legacy": {"MULTI_AGENT_MODEL": "gemini-legacy:x", "GEMINI_API_KEY": "k"},
}
"""The settings for which an extra is needed."""
_ON_DATABASES: Final = ("status", "events", "why", "verify", "submit", "cancel", "db upgrade", "up", "run")
USES: Final[Mapping[str, tuple[str, ...]]] = {
    "postgres": (*_ON_DATABASES, "doctor"),
    "openai": ("plan", "run", "doctor"),
    "anthropic": ("plan", "run", "doctor"),
    "gateway": ("gateway",),
    "gemini": ("plan", "run", "doctor"),
    "gemini-legacy": ("plan", "run", "doctor"),
}
"""Commands for which it matters."""
_SECONDS: Final = 20.0
"""Enough for a whole run."""
RECORDED: Final = "run, recorded"
POSTGRES: Final = "chaos --postgres"


def main() -> None:
    """Walk."""
    commands = all_commands()
    with tempfile.TemporaryDirectory(prefix="core-") as folder:
        template = Path(folder) / "template"
        asyncio.run(make_template(template))
        walker = Walker(template, Path(folder))
        found = {name: walker.run(words, USUAL, seconds=_SECONDS) for name, words in commands.items()}
        for extra, names in USES.items():
            for name in names:
                found[f"{name} {extra}"] = walker.run(
                    commands[name], {**USUAL, **NEEDS[extra]}, seconds=_SECONDS
                )
        found[POSTGRES] = walker.run(("chaos", "--postgres", "--minutes", "0"), USUAL, seconds=_SECONDS)
        run = ("run", "Create a simple SMA crossover strategy")
        found[RECORDED] = walker.run(run, USUAL, seconds=3 * _SECONDS)
    print(json.dumps({name: (ended.code, ended.said) for name, ended in found.items()}))
