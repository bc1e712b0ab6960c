"""What a model is shown by each tool, and what is refused."""

from __future__ import annotations

import json
import re

import pytest

from agents.tools.bench import Bench
from tests.loop.conftest import TOOLS, use

BY_NAME = {tool.name: tool for tool in TOOLS}


async def show(bench: Bench, name: str, **arguments: object) -> str:
    return await use(BY_NAME[name], bench, **arguments)


async def test_a_file_is_read_with_line_numbers_and_in_parts(bench: Bench) -> None:
    assert await show(bench, "read", path="a.txt") == "a.txt, 2 lines\n     1\tone\n     2\ttwo"
    text = "".join(f"line {number}\n" for number in range(1, 1001))
    await show(bench, "write", path="long.txt", content=text)
    shown = await show(bench, "read", path="long.txt", first=301, lines=2)
    assert (
        shown
        == "long.txt, 1000 lines\n   301\tline 301\n   302\tline 302\n(698 more lines; read from 303 on)"
    )
    assert (await show(bench, "read", path="long.txt")).endswith("(600 more lines; read from 401 on)")
    assert await show(bench, "read", path="a.txt", first=3) == (
        "refused: a.txt has 2 lines, and line 3 is not one of them"
    )


async def test_what_is_shown_has_a_limit(bench: Bench) -> None:
    bench.output_characters = bench.read_characters = 1_000
    await show(bench, "write", path="wide.txt", content="x" * 700 + "\n" + "y\n" * 300)
    shown = await show(bench, "read", path="wide.txt")
    assert "x... (200 more characters)" in shown
    assert len(shown) < 2_500
    assert shown.endswith("(249 more lines; read from 53 on)"), "as much as fits, to the line"
    shown = await show(bench, "run", command="seq 1 2000; echo last")
    assert len(shown) < 1_200
    assert shown.startswith("exit code 0\n")
    assert "characters left out" in shown
    assert shown.endswith("2000\nlast")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("null\x01.bin", "is a binary file of 256 bytes"),
        ("missing.py", "No such file"),
        ("../../etc/passwd", "must be relative"),
        ("absolute", "leads out of the tree"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_the_reason(bench: Bench, path: str, says: str) -> None:
    shown = await show(bench, "read", path=path)
    assert shown.startswith("refused: ")
    assert says in shown


async def test_files_and_lines_are_found(bench: Bench) -> None:
    assert await show(bench, "find", pattern="deep/**/*.py") == "deep/er/file.py\ndeep/other.py"
    assert await show(bench, "search", pattern="= 1$", path="deep") == (
        "deep/er/file.py:1: x = 1\ndeep/other.py:1: y = 1"
    )
    assert await show(bench, "list", path="deep") == "er/\nother.py"
    assert await show(bench, "search", pattern="nowhere at all") == "nothing matches"
    assert "pattern '(': missing ), unterminated" in await show(bench, "search", pattern="(")


async def test_an_edit_replaces_what_stands_there_once(bench: Bench) -> None:
    shown = await show(bench, "edit", path="a.txt", old="two\n", new="2\n3\n")
    assert shown == "a.txt is changed; it reads now\n     1\tone\n     2\t2\n     3\t3"
    assert await bench.workspace.read("a.txt") == b"one\n2\n3\n"
    assert bench.written == {"a.txt"}


@pytest.mark.parametrize(
    ("path", "old", "new", "left"),
    [
        ("crlf.txt", "one\ntwo", "1\n2", b"1\r\n2\r\n"),
        ("mixed.bat", "two\n", "2\n", b"one\r\n2\n"),
        ("bom.txt", "text", "words", b"\xef\xbb\xbfwords without an end"),
        ("latin1.txt", "gr", "Gr", "Grüße\n".encode("latin-1")),
    ],
)
async def test_an_edit_keeps_line_ends_marks_and_bytes(
    bench: Bench, path: str, old: str, new: str, left: bytes
) -> None:
    await show(bench, "edit", path=path, old=old, new=new)
    assert await bench.workspace.read(path) == left


@pytest.mark.parametrize(
    ("old", "says"),
    [
        ("value = 1", "stands there 2 times, at lines 2, 4"),
        (
            "    retrun value",
            "nearest are these lines, as they are:\n     2\tvalue = 1\n     3\t    return",
        ),
        ("nothing like it at all", "nor anything like it"),
    ],
)
async def test_an_edit_that_does_not_match_once_says_what_is_there(bench: Bench, old: str, says: str) -> None:
    await show(bench, "write", path="some.txt", content="first\nvalue = 1\n    return value\nvalue = 1\n")
    shown = await show(bench, "edit", path="some.txt", old=old, new="x")
    assert shown.startswith("refused: old ")
    assert says in shown
    assert (await bench.workspace.read("some.txt")).startswith(b"first\nvalue = 1\n")


async def test_a_file_that_was_whole_is_not_broken(bench: Bench) -> None:
    await show(bench, "write", path="m.py", content="x = 1\ny = 2\n")
    shown = await show(bench, "edit", path="m.py", old="y = 2", new="y = (2")
    assert shown == "refused: not done, it would break it: file 'm.py': line 2 is not valid Python"
    assert "would break it" in await show(bench, "write", path="m.py", content="def f(:\n")
    assert "'m.json' is not valid JSON" in await show(bench, "write", path="m.json", content="{")
    await show(bench, "run", command="printf 'def f(:\\n    pass\\n' > broken.py")
    await show(bench, "edit", path="broken.py", old="pass", new="return 1")
    assert b"return 1" in await bench.workspace.read("broken.py"), (
        "one that was broken can be mended in steps"
    )


async def test_a_new_file_replaces_none_but_its_own(bench: Bench) -> None:
    assert await show(bench, "write", path="a.txt", content="") == (
        "refused: a.txt is there already; change it with edit"
    )
    assert await show(bench, "write", path="new/b.txt", content="1\n") == "new/b.txt is written, 1 lines"
    assert await show(bench, "write", path="new/b.txt", content="2\n") == "new/b.txt is written, 1 lines"


async def test_paths_that_may_not_be_written_are_refused(bench: Bench) -> None:
    for name, more in (("edit", {"old": "x", "new": "y"}), ("write", {"content": ""})):
        shown = await show(bench, name, path="deep/er/file.py", **more)
        assert shown == "refused: the repository's own files stay"


async def test_a_command_has_its_end_and_both_outputs(bench: Bench) -> None:
    shown = await show(bench, "run", command="echo out; echo err >&2; exit 3")
    assert shown == "exit code 3\nout\nerr"
    assert (await show(bench, "run", command="sleep 30", seconds=1)).startswith(
        "it was ended at its limit of time"
    )
    assert bench.commands == 2


async def test_wrong_arguments_are_named(bench: Bench) -> None:
    assert await show(bench, "read", file="a.txt") == (
        "refused: path: Field required; file: Extra inputs are not permitted"
    )
    assert (await show(bench, "read", path="a.txt", lines=0)).startswith("refused: lines: ")


async def test_more_lines_than_there_may_be_are_cut_and_that_is_said(bench: Bench) -> None:
    await show(bench, "write", path="long.txt", content="x\n" * 1_200)
    shown = await show(bench, "read", path="long.txt", lines=100_000)
    assert shown.endswith("  1000\tx\n(1000 lines are the most at once)\n(200 more lines; read from 1001 on)")
    assert (await show(bench, "read", path="a.txt", lines=100_000)).endswith("     2\ttwo")


async def test_matches_that_are_not_shown_are_counted_by_file(bench: Bench) -> None:
    for path, lines in (("m/a.txt", 59), ("m/b.txt", 3), ("m/c.txt", 20)):
        await show(bench, "write", path=path, content="it\n" * lines)
    shown = await show(bench, "search", pattern="^it$", path="m")
    assert shown.splitlines()[59:] == [
        "m/b.txt:1: it",
        "(22 more lines match; narrow the pattern or the path. They are in)",
        "m/c.txt: 20",
        "m/b.txt: 2",
    ]
    await show(bench, "write", path="m/d.txt", content="it\n" * 3_000)
    assert "(at least 1940 more lines match" in await show(bench, "search", pattern="^it$", path="m")


async def test_of_a_long_edit_its_two_ends_are_shown(bench: Bench) -> None:
    new = "\n".join(f"new {number}" for number in range(1, 41))
    shown = await show(bench, "edit", path="a.txt", old="two", new=new)
    lines = [line.strip().partition("\t")[2] for line in shown.splitlines()]
    assert lines[1:7] == ["one", *(f"new {number}" for number in range(1, 6))]
    assert "lines, as they were given)" in shown
    assert lines[-1] == "new 40"
    assert len(lines) < 20


def test_schemas_say_what_a_model_needs() -> None:
    parameters = BY_NAME["run"].described.parameters
    assert parameters["properties"] == {
        "command": {"type": "string"},
        "seconds": {"description": "its limit of time", "type": "integer", "minimum": 1, "maximum": 600},
    }
    assert parameters["required"] == ["command"]
    for tool in BY_NAME.values():
        said = json.dumps(tool.described.parameters)
        assert not re.search('"(maxLength|title|anyOf|additionalProperties)"', said)
