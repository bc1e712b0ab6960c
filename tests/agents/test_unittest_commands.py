"""unittest's commands run under the harness, whose verdict is no exit code."""

from __future__ import annotations

import pytest

from agents.testing.unittest_commands import as_unittest
from contracts.base.errors import InvalidInput

FILES = dict.fromkeys(
    ("tests/test_a.py", "tests/deep/test_b.py", "tests/check_c.py", "test_d.py", "app.py"), b""
)


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        ("", ("test_d.py", "tests/deep/test_b.py", "tests/test_a.py")),
        ("-v", ("test_d.py", "tests/deep/test_b.py", "tests/test_a.py")),
        ("discover -s tests", ("tests/deep/test_b.py", "tests/test_a.py")),
        ("discover --start-directory=./tests/ -p check_*.py -t .", ("tests/check_c.py",)),
        ("discover tests test_b.py", ("tests/deep/test_b.py",)),
        ("tests.test_a", ("tests/test_a.py",)),
        ("-q tests/test_a.py test_d", ("tests/test_a.py", "test_d.py")),
        ("tests.test_a.TestA.test_one", ("tests/test_a.py::TestA::test_one",)),
    ],
)
def test_it_names_the_same_tests(words: str, targets: tuple[str, ...]) -> None:
    command = as_unittest(("python", "-m", "unittest", *words.split()), FILES)
    assert command is not None
    assert command.targets == command.args == targets
    assert command.selective == any("::" in target for target in targets)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("-k name", "option '-k' cannot be used"),
        ("tests.test_z", "no such test file"),
        ("discover -s nowhere", "finds no test file"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        as_unittest(("python3", "-m", "unittest", *words.split()), FILES)


def test_other_programs_are_not_its() -> None:
    assert as_unittest(("python", "-m", "pytest"), FILES) is None
    assert as_unittest(("unittest",), FILES) is None
