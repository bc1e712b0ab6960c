"""What a started command needs of the environment so that coverage follows it."""

from __future__ import annotations

import os

from tests.mutation.recorder import RUNNING_TEST


def measuring() -> dict[str, str]:
    """The variables of coverage, and the running test while the map of mutants is made."""
    return {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", RUNNING_TEST))}
