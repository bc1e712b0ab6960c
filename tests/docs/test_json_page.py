"""docs/json.md is what the commands print."""

from __future__ import annotations

from tests.docs.json_page import OWN, PAGE, WORDS, commands_with_json, page


def test_the_page_is_what_the_commands_print() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs.json_page --write"


def test_every_command_with_json_is_on_the_page() -> None:
    assert set(commands_with_json()) == {name.removesuffix(" WORKFLOW") for name in WORDS}


def test_no_name_of_a_shard_or_a_stream_is_promised() -> None:
    listed = PAGE.read_text("utf-8").partition("## ")[2]
    assert [name for name in OWN if f"{name}`" in listed] == []
