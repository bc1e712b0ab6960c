"""Mistakes end with a clear word, an exit code that says whose turn it is, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.mistakes import OF_OPERATORS, OF_USERS, Mistake, tried
from tests.docs.mistakes_page import HEAD, PAGE, entry


@pytest.mark.parametrize("mistake", [*OF_USERS, *OF_OPERATORS], ids=lambda mistake: mistake.what)
def test_it_ends_as_the_page_says(mistake: Mistake, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    ended = tried(mistake, folder)
    assert ended.code == mistake.code
    assert ended.said.startswith("Error: ")
    assert "Traceback" not in ended.said
    assert entry(mistake, ended.said) in PAGE.read_text("utf-8")


def test_the_page_holds_nothing_else() -> None:
    page = PAGE.read_text("utf-8")
    assert page.startswith(HEAD)
    assert page.count("exit code ") == len([*OF_USERS, *OF_OPERATORS]) + HEAD.count("exit code ")
