"""A process that dies anywhere between a decision and its effect leaves one effect for one approval."""

from __future__ import annotations

import pytest

from tests.orchestrator.approval_kills import STEPS, play


@pytest.mark.parametrize("step", STEPS)
def test_one_approval_is_one_effect_wherever_a_process_dies(step: str) -> None:
    assert play(step) == []
