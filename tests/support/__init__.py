"""Shared helpers of the test suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def need(condition: bool, reason: str) -> None:
    """Skip on a laptop, fail in CI, when something a test needs is absent."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {reason}")
    pytest.skip(reason)


def of_this_run(factory: pytest.TempPathFactory) -> Path:
    """A folder that the test processes of this run share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
