"""A correction of contested tests leaves everything else in their files as it is."""

from __future__ import annotations

import pytest

from agents.roles.checks.untouched import changed_besides
from contracts.documents.test_ids import named_test

PATH = "tests/test_hands.py"
OLD = """\
import pytest
from hands import rank

WANTED = [1, 2]
pytestmark = pytest.mark.hands


def helper(x):
    return rank(x)


@pytest.fixture
def hand():
    return "2H"


class TestOne:
    @pytest.mark.parametrize("x", [1])
    def test_it(self, x):
        assert helper(x) == 7


class TestTwo:
    def test_it(self):
        assert rank(2) == 2
"""
CONTESTED = {named_test(f"{PATH}::TestOne::test_it[::1]")}
MENDED = OLD.replace("helper(x) == 7", "helper(x) == Decimal(6)")


def _changed(new: str) -> list[str]:
    return changed_besides(OLD, new, PATH, CONTESTED)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[1, 2]", "[1, 3]", "WANTED = [1, 2]"),
        ("mark.hands", "mark.skip", "pytestmark = pytest.mark.hands"),
        ("return rank(x)", "return 7", "helper"),
        ('"2H"', '"3H"', "hand"),
        ("@pytest.fixture", "@pytest.fixture(autouse=True)", "hand"),
        ("rank(2) == 2", "True", "TestTwo::test_it"),
        ("class TestTwo:", "class TestTwo(object):", "TestTwo"),
        ("import rank", "import rank as helper", "from hands import rank"),
        ("WANTED = [1, 2]", "def test_more():\n    pass\n\n\nWANTED = [1, 2]", "test_more"),
        ("import pytest\n", "import pytest\nfrom fakes import helper\n", "from fakes import helper"),
        (
            "import pytest\n",
            "import pytest\nfrom fakes import setup_module\n",
            "from fakes import setup_module",
        ),
        ("import pytest\n", "import pytest\nfrom fakes import *\n", "from fakes import *"),
        ("def test_it(self, x)", "def check_it(self, x)", "TestOne::test_it (gone)"),
    ],
)
def test_whatever_is_not_contested_stays(old: str, new: str, named: str) -> None:
    assert old in MENDED
    assert f"{PATH}::{named}" in _changed(MENDED.replace(old, new, 1))


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        MENDED,
        MENDED.replace('"x", [1]', '"x", [2]'),
        MENDED.replace("import pytest", "from decimal import Decimal\nimport pytest"),
        MENDED.replace("import rank", "import rank, suit"),
        MENDED.replace("WANTED", "# what is wanted\nWANTED", 1),
    ],
)
def test_what_is_contested_changes_with_imports_that_it_needs(new: str) -> None:
    assert _changed(new) == []


def test_tests_in_another_order_and_what_is_no_python_are_changes() -> None:
    one, two = "a = 1\n", "b = 2\n"
    assert changed_besides(one + two, two + one, PATH, set()) == [f"{PATH}::the order of what stands in it"]
    assert changed_besides("test(", "test((", PATH, set()) == [PATH]
