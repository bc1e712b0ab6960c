"""A workspace ends with the process that opened it, also when that one only falls silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.base.errors import SandboxUnavailable
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.protocol import Transcript
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.guest import wire
from sandbox_runner.workspace.session import answer_of
from tests.sandbox.leftovers import sandboxes_of
from tests.sandbox.probing import until

ROOT = Path(__file__).parents[2]
CODE = """
import asyncio, sys
from pathlib import Path
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.workspace.opening import SandboxWorkspaces
from tests.workspace.repositories import Project

async def main(folder, name, toolbox):
    project = Project(folder)
    opened = await open_untested(name, SandboxSettings(backend=name, toolbox=Path(toolbox)))
    workspace = await SandboxWorkspaces(opened.sandbox, project.trees).open(project.base)
    print(workspace.placement, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
"""


STARVED = """
import resource, sys
from sandbox_runner.guest.operations import Tree
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
Tree(None, sys.argv[1]).work("list", {"path": ""})()
"""


def test_a_look_that_runs_out_of_descriptors_is_an_outage_and_no_mistake(tmp_path: Path) -> None:
    look = subprocess.run(
        [sys.executable, "-c", STARVED, str(tmp_path)], cwd=ROOT, capture_output=True, check=False
    )
    assert b"Too many open files" in look.stderr
    ended = Transcript(stderr=bytearray(look.stderr), result={"end": "exit", "code": look.returncode})
    with pytest.raises(SandboxUnavailable, match=r"short of resources: list '': .*Too many open files"):
        answer_of(ended, "list ''")


@contextmanager
def _holder(folder: Path, backend: str, toolbox: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a workspace open."""
    argv = [sys.executable, "-c", CODE, str(folder), backend, str(toolbox)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "overlay\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("backend", ["bubblewrap", "namespaces"])
async def test_it_ends_with_its_process(tmp_path: Path, workspace_toolbox: Path, backend: str) -> None:
    settings = SandboxSettings(backend=backend, toolbox=workspace_toolbox)
    sandbox = (await open_untested(backend, settings)).sandbox
    with _holder(tmp_path, backend, workspace_toolbox) as process:
        held = sandboxes_of(process.pid, sandbox)
        assert len(held) == 1
        process.kill()
        await until("it is gone", lambda: not Path(f"/proc/{held[0]}").exists())
    await sandbox.close()


@pytest.mark.slow
async def test_it_ends_when_its_process_falls_silent(tmp_path: Path, workspace_toolbox: Path) -> None:
    settings = SandboxSettings(backend="namespaces", toolbox=workspace_toolbox)
    sandbox = (await open_untested("namespaces", settings)).sandbox
    with _holder(tmp_path, "namespaces", workspace_toolbox) as process:
        held = sandboxes_of(process.pid, sandbox)
        assert len(held) == 1
        os.kill(process.pid, signal.SIGSTOP)
        silent = wire.SILENCE_SECONDS + 10
        await until("it is gone", lambda: not sandboxes_of(process.pid, sandbox), seconds=silent)
    await sandbox.close()
