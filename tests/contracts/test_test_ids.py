"""Ids of tests are read as pytest writes them, and none makes a command that cannot be read."""

from __future__ import annotations

import shlex

import pytest

from contracts.documents.test_ids import command_of, named_test


@pytest.mark.parametrize(
    ("test", "path", "names"),
    [
        ("tests/test_ip.py::test_parse[::1]", "tests/test_ip.py", ("test_parse",)),
        ("tests/test_core.py::test_total[q[zz]]", "tests/test_core.py", ("test_total",)),
        ("tests/test_a.py::TestA::test_x[a::b[c]-d]", "tests/test_a.py", ("TestA", "test_x")),
        ("tests/[a]/test_a.py::test_x", "tests/[a]/test_a.py", ("test_x",)),
        ("tests/test_a.py", "tests/test_a.py", ()),
    ],
)
def test_parameters_are_no_part_of_a_name(test: str, path: str, names: tuple[str, ...]) -> None:
    assert named_test(test) == (path, names)


@pytest.mark.parametrize("name", ["[two pairs]", "[it's]", "[::1]"])
def test_a_command_is_read_as_its_id(name: str) -> None:
    test = f"tests/test_a.py::test_x{name}"
    command = command_of(test)
    assert command is not None
    assert shlex.split(command) == ["pytest", test]


@pytest.mark.parametrize(
    "test",
    [
        "test_x",
        "calc.py::double",
        "../tests/test_a.py::test_x",
        "/tests/test_a.py::test_x",
        "tests/test_a.py::[x]",
        f"tests/test_a.py::test_x[{chr(39) * 200}]",
    ],
)
def test_what_cannot_be_run_alone_has_no_command(test: str) -> None:
    assert command_of(test) is None
