"""Every probe that ships, on every backend: the looks at the walls at once, each misbehaviour by itself.

Hostile trees are probes too; `test_contract_collect` runs those.
"""

from __future__ import annotations

import pytest

from contracts.ports import Sandbox
from sandbox_runner.choose import open_untested
from sandbox_runner.probes.abuse import ABUSE
from sandbox_runner.probes.quick import look_at_everything
from sandbox_runner.settings import SandboxSettings
from tests.sandbox.conftest import DEVIATIONS

PROGRAMS = {one.name: one for one in ABUSE if not one.name.startswith("tree-")}


async def test_every_wall_stands(settings: SandboxSettings) -> None:
    opened = await open_untested(settings.backend, settings)
    try:
        outcomes = await look_at_everything(opened.sandbox, opened.facts)
    finally:
        await opened.sandbox.close()
    known = {name for backend, name in DEVIATIONS if backend == settings.backend}
    assert [one for one in outcomes if one.seen and one.probe not in known] == []


@pytest.mark.parametrize("name", sorted(PROGRAMS))
async def test_misbehaviour(sandbox: Sandbox, name: str) -> None:
    if reason := DEVIATIONS.get((sandbox.backend, name)):
        pytest.skip(f"{sandbox.backend} deviates: {reason}")
    assert await PROGRAMS[name].attempt(sandbox) == ""
