"""How large a repository may be, by where programs run."""

from __future__ import annotations

from typing import Any

import pytest

from multi_agent.application.bases import BaseLimits
from multi_agent.bootstrap import HOST, workspace_limits
from multi_agent.settings import Settings


@pytest.mark.parametrize(
    ("named", "limits"),
    [
        ({}, (50_000, 1_000)),
        ({"sandbox": HOST}, (50_000, 1_000)),
        ({"max_repository_files": 10, "max_repository_mb": 2}, (10, 2)),
    ],
)
def test_a_repository_may_be_as_large_wherever_programs_run(
    named: dict[str, Any], limits: tuple[int, int]
) -> None:
    found = BaseLimits.of(Settings(**named))
    assert (found.files, found.megabytes) == limits


def test_a_workspace_has_room_for_the_largest_repository_and_what_is_added() -> None:
    limits = workspace_limits(Settings(max_repository_files=70_000))
    assert limits.file_count == 70_000 + limits.changed_files
