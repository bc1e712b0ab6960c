"""Every misbehaviour of the probes, each in a workspace; and the looks at the walls."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

import pytest

from contracts.base.errors import MultiAgentError
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult, Verdict
from contracts.ports.workspace import NO_ENVIRONMENT, CommandLimits, Environment, Placement, WorkspaceLimits
from sandbox_runner.probes.abuse import ABUSE
from sandbox_runner.probes.quick import run_quick_probes
from tests.sandbox.conftest import DEVIATIONS
from tests.workspace.conftest import PLACES, Opener

PROGRAMS = {one.name: one for one in ABUSE}
# A copy differs by its mounts alone, and Docker has no overlay.
ONE_EACH = [(name, placement) for name, placement in PLACES if placement == "overlay" or name == "docker"]
# What a tree may hold in a workspace, or what Git does not know and is left out.
KEPT: Final = {
    "tree-symbolic-link": "a link is kept as it is",
    "tree-dangling-link": "a link is kept as it is",
    "tree-link-to-a-folder": "a link is kept as it is",
    "tree-link-chain": "a link is kept as it is",
    "tree-link-and-file-through-it": "a link is kept as it is, and what lies behind it is not in the tree",
    "tree-hard-link": "several files",
    "tree-absolute-hard-link": "several files",
    "tree-fifo": "left out, as Git does",
    "tree-socket": "left out, as Git does",
}


class OneCommand:
    """The Sandbox port over workspaces: each program is the only command of one."""

    def __init__(self, opener: Opener, environment: Environment = NO_ENVIRONMENT) -> None:
        self._opener, self._environment = opener, environment
        self.backend = opener.backend.backend
        self.isolation: Isolation = opener.backend.isolation

    async def run(self, request: SandboxRequest) -> SandboxResult:
        wanted = request.limits
        limits = WorkspaceLimits(
            wanted.wall_seconds,
            wanted.output_bytes,
            wanted.cpus,
            wanted.memory_mb,
            wanted.processes,
            wanted.disk_mb,
            max(wanted.file_count, 200),
        )
        async with self._opener.open(limits, environment=self._environment) as workspace:
            for path, content in request.files.items():
                await workspace.write(path, content)
            result = await workspace.exec(
                1, request.argv, stdin=request.stdin, limits=CommandLimits(wanted.wall_seconds)
            )
            files: dict[str, bytes] = {}
            verdict, said = result.verdict, b""
            if request.collect:
                try:
                    changes = await workspace.diff()
                    files = {
                        path: file.content
                        for path, file in changes.files.items()
                        if path not in request.files and _asked_for(path, request.collect)
                    }
                    files |= {path: request.files[path] for path in request.collect if path in request.files}
                except MultiAgentError as error:
                    verdict, said = Verdict.POLICY, str(error).encode()
        return SandboxResult(
            verdict,
            result.exit_code,
            result.stdout,
            result.stderr + said,
            files,
            result.seconds,
            self.backend,
            self.isolation,
        )

    async def close(self) -> None: ...


def _asked_for(path: str, collect: tuple[str, ...]) -> bool:
    return any(path == one or PurePosixPath(path).is_relative_to(one.rstrip("/")) for one in collect)


@pytest.mark.parametrize("place", ONE_EACH, indirect=True, ids="-".join)
@pytest.mark.parametrize("name", sorted(PROGRAMS))
async def test_misbehaviour(opener: Opener, name: str) -> None:
    if reason := DEVIATIONS.get((opener.backend.backend, name)):
        pytest.skip(f"{opener.backend.backend} deviates: {reason}")
    seen = await PROGRAMS[name].attempt(OneCommand(opener))
    if name in KEPT:
        assert seen, f"{name} is refused as in every sandbox; strike it from the list"
    else:
        assert seen == ""


COPIED: Final = {
    "file-systems": "a copied tree has room of its own in the work folder",
    "memory-limit": "a copied tree has memory of its own in a container",
}


async def test_every_wall_stands(opener: Opener) -> None:
    outcomes = await run_quick_probes(OneCommand(opener), opener.facts)
    known = COPIED if opener.placement is Placement.COPY else {}
    assert [one for one in outcomes if one.seen and one.probe not in known] == []
