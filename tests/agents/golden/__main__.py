"""Writes the files anew."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.local import bubblewrap
from tests.agents.golden.prompts import FOLDER, ROLES, first_request, shown
from tests.agents.over_trees import OverTrees


async def main() -> None:
    """Write what each role is told first."""
    program = bubblewrap.find()
    assert program is not None, "bubblewrap is not installed"
    for role in ROLES:
        with tempfile.TemporaryDirectory() as place:
            sandbox = bubblewrap.make(SandboxSettings(toolbox=Path(place) / "toolbox"), program)
            over = OverTrees(sandbox, Path(place))
            (FOLDER / f"{role}.md").write_text(shown(await first_request(role, over)))
            await over.close()
            await sandbox.close()


if __name__ == "__main__":
    asyncio.run(main())
