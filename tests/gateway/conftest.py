"""What all tests of the gateway begin with."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(autouse=True)
def _all_logs() -> None:
    structlog.reset_defaults()  # a command that ran in this process keeps quieter logs
