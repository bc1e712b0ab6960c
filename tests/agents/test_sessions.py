"""What a session of tests expects: of the files that were asked for, and what those promise."""

from __future__ import annotations

from agents.testing.problems import Expectation
from agents.testing.sessions import plan_session

ONE = b"def test_one():\n    assert 1\n"
SKIPS = b"import pytest\n\n@pytest.fixture\ndef database():\n    pytest.skip('none here')\n"


async def expectation(*names: str) -> Expectation:
    files = {name: SKIPS if name.endswith("conftest.py") else ONE for name in names}
    plan = await plan_session(("pytest", "tests/test_a.py"), files)
    assert plan is not None
    [found] = plan.expectations
    return found


async def test_of_all_tests_those_are_expected_that_were_asked_for_and_what_their_fixtures_promise() -> None:
    found = await expectation("tests/test_a.py", "tests/test_b.py", "tests/conftest.py")
    assert found.expected == {"tests/test_a.py::test_one"}
    assert found.skips != (await expectation("tests/test_a.py", "tests/test_b.py")).skips
