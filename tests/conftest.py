"""What every test starts from, whatever ran before it in the same process."""

from __future__ import annotations

import pytest

from contracts.base.processes.command_lines import Called, note_call


@pytest.fixture(autouse=True)
def _called_plainly() -> None:
    """As if no command had been called in this process: one leaves its name and folder behind."""
    note_call(Called())
