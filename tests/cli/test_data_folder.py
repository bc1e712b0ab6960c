"""The data folder is its owner's."""

from __future__ import annotations

import os
from pathlib import Path

from multi_agent.application.data_folder import make_data_folder


def test_nobody_else_can_list_it(tmp_path: Path) -> None:
    folder = make_data_folder(tmp_path / "deep" / "data")
    assert folder.stat().st_mode & 0o077 == (0o011 if os.geteuid() == 0 else 0)


def test_one_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert make_data_folder(tmp_path).stat().st_mode & 0o777 == 0o750
