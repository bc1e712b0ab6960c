"""An ordinary user gets the overlay as well. As root the test becomes one, else it is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import need
from tests.workspace.conftest import PLACES

ROOT = Path(__file__).parents[2]
_USER = 61_234
_PYTHON = "/usr/bin/python3"


def _as_user(folder: Path) -> list[str]:
    """The command line that runs Python as an ordinary user who can read this project, or skips."""
    if os.geteuid():
        return [sys.executable]
    need(shutil.which("setpriv") is not None, "setpriv is not installed")
    shutil.chown(folder, _USER, _USER)
    become = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
    # The usual interpreter may lie in a home folder of root's.
    for python in (sys.executable, _PYTHON):
        asked = [
            *become,
            python,
            "-c",
            "import pydantic, structlog",
        ]
        done = subprocess.run(asked, env=_environment(folder), cwd=folder, capture_output=True, check=False)
        if done.returncode == 0:
            return [*become, python]
    pytest.skip("no Python here that another user can run with this project's packages")


def _environment(folder: Path) -> dict[str, str]:
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{ROOT}:{packages}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


CODE = """
import asyncio, sys
from pathlib import Path
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.workspace.opening import SandboxWorkspaces
from tests.workspace.repositories import Project

async def main(folder, name, placement):
    (folder / "project").mkdir(exist_ok=True)
    project = Project(folder / "project")
    opened = await open_untested(name, SandboxSettings(backend=name, toolbox=folder / "toolbox"))
    workspaces = SandboxWorkspaces(opened.sandbox, project.trees, overlay=placement == "overlay")
    workspace = await workspaces.open(project.base)
    assert workspace.placement == placement, workspace.placement
    script = "id -u; git status --short; git describe; echo 1 >> a.txt; rm -r deep; mkdir deep; touch deep/z"
    result = await workspace.exec(1, ("sh", "-ec", script))
    print(result.stdout, result.stderr)
    print(sorted(project.changed(await workspace.snapshot())))
    await workspace.close()
    await opened.sandbox.close()
    project.store.close()

asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
"""


@pytest.mark.parametrize("place", [place for place in PLACES if place[0] != "docker"], ids="-".join)
def test_an_ordinary_user_gets_the_same(place: tuple[str, str]) -> None:
    # Not below pytest's own folder, which only its user can enter.
    folder = Path(f"/var/tmp/ma-user-{os.getpid()}-{'-'.join(place)}")
    folder.mkdir(mode=0o755)
    try:
        argv = [*_as_user(folder), "-c", CODE, str(folder), *place]
        done = subprocess.run(
            argv,
            env=_environment(folder),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0].startswith("b'65534\\nv1.0-1-g")
        assert done.stdout.splitlines()[1] == "[b'a.txt', b'deep/er/file.py', b'deep/other.py', b'deep/z']"
    finally:
        shutil.rmtree(folder)
