"""Every probe that ships, on every backend: the looks at the walls at once, each misbehaviour by itself.

Hostile trees are probes too; `test_contract_collect` runs those.
"""

from __future__ import annotations

import pytest

from contracts.ports.sandbox import Isolation, Sandbox, SandboxRequest, SandboxResult, Verdict
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.probes.abuse import ABUSE
from sandbox_runner.probes.quick import run_quick_probes
from tests.sandbox.conftest import DEVIATIONS

PROGRAMS = {one.name: one for one in ABUSE if not one.name.startswith("tree-")}


async def test_every_wall_stands(settings: SandboxSettings) -> None:
    opened = await open_untested(settings.backend, settings)
    try:
        outcomes = await run_quick_probes(opened.sandbox, opened.facts)
    finally:
        await opened.sandbox.close()
    known = {name for backend, name in DEVIATIONS if backend == settings.backend}
    assert [one for one in outcomes if one.seen and one.probe not in known] == []


@pytest.mark.parametrize("name", sorted(PROGRAMS))
async def test_misbehaviour(sandbox: Sandbox, name: str) -> None:
    if reason := DEVIATIONS.get((sandbox.backend, name)):
        pytest.skip(f"{sandbox.backend} deviates: {reason}")
    assert await PROGRAMS[name].attempt(sandbox) == ""


class Answering:
    """A sandbox in which every program ends in one way and says nothing."""

    backend = "answering"
    isolation = Isolation.NAMESPACES

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    async def run(self, _: SandboxRequest) -> SandboxResult:
        return SandboxResult(self._verdict, 0, b"", b"", {}, 60.0, self.backend, self.isolation)

    async def close(self) -> None: ...


# Those that may end well without a word: what they do is looked for on the host.
MAY_END_WELL = {"reserved-memory", "daemon"}


@pytest.mark.parametrize("verdict", [Verdict.KILLED, Verdict.OK])
async def test_no_probe_takes_any_end(verdict: Verdict) -> None:
    sandbox = Answering(verdict)
    content = [one.name for one in ABUSE if not await one.attempt(sandbox)]
    assert set(content) == (MAY_END_WELL if verdict is Verdict.OK else set())
