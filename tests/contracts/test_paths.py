"""Which names files may have: what a repository may hold, and what a new file may be called."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.base.errors import UnsafePath
from contracts.base.model import Identifier
from contracts.base.paths import check_new_path, check_path
from contracts.documents.todo_list import RoleName

# Variation selectors, fillers and joiners, with which an existing file may be called.
KEPT = "\ufe0f\ufe00\u3164\u115f\u1160\uffa0\u034f\U000e0100\U000e01ef\u180b"
NEVER = "\u2028\u2029\u200b\u200c\u200d\u2060\ufeff\u180e\u00ad\u202e\u2066\U000e0001\U000e0041\x1b\x9b\ue000"


@pytest.mark.parametrize("char", [*KEPT, *NEVER], ids=lambda char: f"{ord(char):x}")
def test_no_new_name_holds_what_cannot_be_seen(char: str) -> None:
    with pytest.raises(UnsafePath):
        check_new_path(f"docs/a{char}b.md")


@pytest.mark.parametrize("char", KEPT, ids=lambda char: f"{ord(char):x}")
def test_an_existing_emoji_is_read(char: str) -> None:
    assert check_path(f"docs/\u2764{char}.md") == f"docs/\u2764{char}.md"


@pytest.mark.parametrize("char", NEVER, ids=lambda char: f"{ord(char):x}")
def test_what_hides_or_turns_a_name_is_not_even_read(char: str) -> None:
    with pytest.raises(UnsafePath, match="control or invisible"):
        check_path(f"docs/a{char}b.md")


def test_the_code_point_is_named() -> None:
    with pytest.raises(UnsafePath) as refused:
        check_new_path("a\u3164.py")
    assert str(refused.value) == "path 'a\\u3164.py': U+3164 cannot be seen; leave it out of a new name"


@pytest.mark.parametrize("name", ["grün.md", "漢字/é.md", "😀.md", "a b.md", "a\u00a0b"])
def test_what_can_be_seen_is_a_name(name: str) -> None:
    assert check_new_path(name) == name


@pytest.mark.parametrize(
    "adapter", [TypeAdapter[str](Identifier), TypeAdapter[str](RoleName)], ids=["ids and tags", "roles"]
)
@pytest.mark.parametrize("char", [*KEPT, *NEVER, "\n"], ids=lambda char: f"{ord(char):x}")
def test_ids_tags_and_roles_hold_plain_letters_alone(adapter: TypeAdapter[str], char: str) -> None:
    for name in (f"a{char}b", f"a{char}", f"{char}a"):
        with pytest.raises(ValidationError):
            adapter.validate_python(name)
