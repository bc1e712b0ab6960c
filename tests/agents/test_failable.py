"""Which tests have a copy that must fail: those that reach their first assertion whatever the code does."""

from __future__ import annotations

import pytest

from agents.testing.python_tests import declared_in_python


@pytest.mark.parametrize(
    ("body", "failable"),
    [
        ("assert double(2) == 4", True),
        ("found = double(2)\n    assert found == 4", True),
        ("if double(2) == 4: return\n    assert double(3) == 6", False),
        ("yield\n    assert double(3) == 6", False),
        ("double(2)", False),
    ],
)
def test_it_reaches_its_first_assertion(body: str, failable: bool) -> None:
    declared = declared_in_python({"tests/test_a.py": f"def test_one():\n    {body}\n".encode()})
    assert declared.failable == (frozenset({"tests/test_a.py::test_one"}) if failable else frozenset())
