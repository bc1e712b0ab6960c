"""What is kept of a case in its folder: the repository that agents were given, and what they said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_COMMAND: Final = (sys.executable, "-P", "-m", "multi_agent.cli", "run", "--json", "--repo", "repository")


def give(case: Path, *words: str, at: Path | None = None, **variables: str) -> dict[str, Any]:
    """Give the case's repository to agents, with a data folder of its own; their summary, which is kept.

    words: the request, as `run` takes it. What is said on the way goes to this terminal. at: where the
    summary is kept, None for the case's folder. variables: of the environment.
    """
    with ((at or case) / "summary.json").open("wb") as summary:
        command = (*_COMMAND, "--data-dir", str(case / "data"), *words)
        subprocess.run(command, cwd=case, env={**os.environ, **variables}, stdout=summary, check=False)
    return kept(at or case, "summary")


def kept(case: Path, name: str) -> dict[str, Any]:
    """What is kept under a name; {} for nothing."""
    path = case / f"{name}.json"
    text = path.read_text("utf-8") if path.exists() else ""
    found: dict[str, Any] = json.loads(text) if text.strip() else {}
    return found


def keep(case: Path, name: str, found: dict[str, Any]) -> None:
    """Keep it."""
    (case / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
