"""Text from outside, as people and stores get it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.printing import print_json, print_line, print_text
from contracts.base.text import first_invisible, flowing, is_invisible, json_text, visible, visible_line
from tests.support import need

IGNORABLE = r"""
no warnings;
for my $code (0 .. 0x10ffff) {
    next if $code >= 0xd800 && $code <= 0xdfff;
    print "$code\n" if chr($code) =~ /\p{Default_Ignorable_Code_Point}/;
}
"""
ANY = st.text(st.characters(codec=None))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2J\x9b\u202e\r\nb\tc", "a\\x1b[2J\\x9b\\u202e\\r\nb\tc"),
        (
            "\u3164\ufe0f\u200b\u2028\U000e0041\ud800\x7f",
            "\\u3164\\ufe0f\\u200b\\u2028\\U000e0041\\ud800\\x7f",
        ),
        ("grün 漢字 e\u0301 é 😀 \u00a0 a\\b", "grün 漢字 e\u0301 é 😀 \u00a0 a\\b"),
    ],
)
def test_what_has_no_shape_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_line_stays_a_line() -> None:
    assert visible_line("a\nb\tc\r") == "a\\nb\\tc\\r"
    assert flowing(" a\n\n b\x85c\u2028d ") == "a b\\x85c\\u2028d"


@settings(deadline=None)
@given(ANY)
def test_nothing_invisible_is_left(text: str) -> None:
    assert not [char for char in visible(text) if is_invisible(char) and char not in "\n\t"]
    assert not [char for char in visible_line(text) if is_invisible(char)]
    assert visible(visible(text)) == visible(text)


@settings(deadline=None)
@given(st.recursive(st.text() | st.none(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)))
def test_json_keeps_its_value(value: object) -> None:
    written = json_text(value, indent=2)
    assert json.loads(written) == value
    assert not [char for char in written if is_invisible(char) and char != "\n"]


def test_visible_text_stays_as_it_is_in_json() -> None:
    assert json_text({"a": "grün\u202e"}) == '{"a": "grün\\u202e"}'


def test_the_invisible_are_those_of_unicode() -> None:
    """Perl, which every Git needs, has the property that this Python has not."""
    perl = shutil.which("perl")
    need(perl is not None, "perl is not installed")
    assert perl is not None
    printed = subprocess.run([perl, "-e", IGNORABLE], capture_output=True, text=True, check=True).stdout
    theirs = {int(line) for line in printed.split()}
    ours = {code for code in range(sys.maxunicode + 1) if is_invisible(chr(code))}
    assert len(theirs) > 4_000
    assert theirs - ours == set()
    others = {unicodedata.category(chr(code)) for code in ours - theirs}
    assert others <= {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def test_the_first_invisible_one_is_named() -> None:
    assert first_invisible("a\u3164b\u200b") == "U+3164"
    assert first_invisible("a b grün") is None


def test_what_is_printed_is_visible(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("a\x1b\nb")
    print_text("a\x1b\nb", err=True)
    print_json("\x9b")
    assert capsys.readouterr() == ('a\\x1b\\nb\n"\\u009b"\n', "a\\x1b\nb\n")
