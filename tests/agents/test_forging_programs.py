"""Programs of somebody who had not seen the harness, every sixth of them."""

from __future__ import annotations

from typing import Final

import pytest

from contracts.ports.sandbox import Sandbox
from tests.agents.forgery.programs import Program, forging, honest

_EACH: Final = 6
WRONG: Final = [program for program in forging() if not program.limit][::_EACH]
RIGHT: Final = honest()[::3]


@pytest.mark.parametrize("program", WRONG, ids=[program.name for program in WRONG])
async def test_what_is_wrong_is_not_verified(sandbox: Sandbox, program: Program) -> None:
    assert (await program.run(sandbox)).verdict == "failed"


@pytest.mark.parametrize("program", RIGHT, ids=[program.name for program in RIGHT])
async def test_what_is_honest_is_not_blocked(sandbox: Sandbox, program: Program) -> None:
    result = await program.run(sandbox)
    assert result.report is not None
    assert result.verdict == "passed", result.report


async def test_whoever_takes_the_interpreter_apart_is_not_apart(sandbox: Sandbox) -> None:
    """Such a program may be believed; the report does not say that the code could not reach its tests."""
    [program] = [each for each in forging() if each.limit == "takes the interpreter apart"]
    result = await program.run(sandbox)
    assert result.tests is not None
    assert (result.tests.apart or 0) < result.tests.passed
