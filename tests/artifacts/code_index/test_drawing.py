"""The map as text."""

from __future__ import annotations

import pytest

from artifacts.code_index.drawing import TOKEN_CHARACTERS
from artifacts.code_index.index import make_map
from tests.artifacts.code_index.sources import entries

FILES = entries(
    {
        f"src/part{n:02}.py": "class Part:\n"
        + "".join(f"    def step_{n}_{at}(self): pass\n" for at in range(40))
        for n in range(60)
    }
)


@pytest.mark.parametrize("tokens", [1, 20, 100, 1_000, 5_000, 100_000])
def test_it_keeps_to_its_tokens_and_says_how_many_files_are_left(tokens: int) -> None:
    found = make_map(FILES, "step_7_39 of a part", tokens)
    lines = found.text.splitlines()
    shown = [line for line in lines if line.startswith("src/")]
    assert len(found.text) <= max(tokens * TOKEN_CHARACTERS, 40)
    assert shown == list(found.paths[: len(shown)])
    left = len(found.paths) - len(shown)
    assert (lines[-1] == f"... and {left} more files") == (left > 0)
    assert len(found.paths) == 60


def test_symbols_of_the_request_are_shown_in_the_order_of_their_lines() -> None:
    text = make_map(FILES, "step_7_39 and step_7_1", 2_000).text
    block = text.split("\nsrc/")[0].splitlines()
    assert block[0] == "src/part07.py"
    assert "    41     def step_7_39(self): pass" in block
    assert "     3     def step_7_1(self): pass" in block
    numbers = [int(line.split()[0]) for line in block[1:]]
    assert numbers == sorted(numbers)
    assert len(block) <= 25


def test_what_a_test_has_for_itself_does_not_displace_tests() -> None:
    tests = "".join(
        f"def test_{at}():\n    class Plugin{at}:\n        def hook(self): pass\n\n" for at in range(20)
    )
    text = make_map(entries({"tests/test_plugins.py": tests}), "the hook of a plugin", 2_000).text
    shown = text.splitlines()[1:]
    assert [line.split()[-1] for line in shown if "def test_" in line] == [f"test_{n}():" for n in range(20)]
    assert len(shown) == 24


def test_the_same_map_twice_is_the_same() -> None:
    assert make_map(FILES, "step", 700) == make_map(dict(reversed(FILES.items())), "step", 700)
