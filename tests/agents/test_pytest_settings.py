"""Where a project's tests import from, as its own settings of pytest say."""

from __future__ import annotations

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.testing.pytest_settings import import_folders, plugin_settings
from contracts.ports.sandbox import Sandbox
from tests.agents.support import TaskMaker

PYPROJECT = '[tool.pytest.ini_options]\npythonpath = ["lib/python", "."]\n'


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, ()),
        ({"pyproject.toml": PYPROJECT}, ("lib/python", ".")),
        ({"pyproject.toml": '[tool.pytest.ini_options]\npythonpath = "a b"'}, ("a", "b")),
        ({"pyproject.toml": '[tool.pytest]\npythonpath = ["a"]'}, ("a",)),
        ({"pytest.toml": '[pytest]\npythonpath = ["a"]'}, ("a",)),
        ({"pytest.ini": "[pytest]\npythonpath = a\n  b/c"}, ("a", "b/c")),
        ({"tox.ini": "[tox]\nx = 1\n[pytest]\npythonpath = %a"}, ("%a",)),
        ({"setup.cfg": "[tool:pytest]\npythonpath = a"}, ("a",)),
        ({"pytest.ini": "", "pyproject.toml": PYPROJECT}, ()),
        ({"tox.ini": "[tox]", "setup.cfg": "[tool:pytest]\npythonpath = a"}, ("a",)),
        ({"setup.cfg": "[pytest]\npythonpath = a"}, ()),
        ({"pytest.toml": '[pytest]\npythonpath = ["/etc", "../x", "a/../../b", 1, "ok"]'}, ("ok",)),
        ({"pyproject.toml": "tool = 3"}, ()),
        ({"pyproject.toml": "not TOML", "setup.cfg": "no section"}, ()),
        ({"pyproject.toml": "x = " + "[" * 100_000}, ()),
        ({"pyproject.toml": f"{PYPROJECT}# {'x' * 300_000}"}, ()),
        ({"deeper/pyproject.toml": PYPROJECT}, ()),
    ],
)
def test_pythonpath_is_read_where_pytest_reads_it(files: dict[str, str], found: tuple[str, ...]) -> None:
    assert import_folders({path: text.encode() for path, text in files.items()}) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('asyncio_mode = "auto"', {"asyncio_mode": "auto"}),
        (
            'DJANGO_SETTINGS_MODULE = "site.settings"\nmarkers = ["x"]',
            {"DJANGO_SETTINGS_MODULE": "site.settings"},
        ),
        ('addopts = "-k nothing"\nasyncio_mode = "auto"', {"asyncio_mode": "auto"}),
        ('asyncio_mode = "auto\\naddopts = -k nothing"', {}),
        ("asyncio_mode = 1", {}),
    ],
)
def test_how_plugins_run_tests_is_read_and_nothing_that_leaves_tests_out(
    text: str, found: dict[str, str]
) -> None:
    assert plugin_settings({"pyproject.toml": f"[tool.pytest.ini_options]\n{text}\n".encode()}) == found


async def test_tests_import_from_there_and_never_what_hides_their_own_modules(sandbox: Sandbox) -> None:
    tree = {
        "pyproject.toml": PYPROJECT,
        "lib/python/deep.py": "def one():\n    return 1\n",
        "lib/python/helper.py": "EXPECTED = 2\n",
        "helper.py": "EXPECTED = 1\n",
        "tests/test_deep.py": "import deep, helper\ndef test():\n    assert deep.one() == helper.EXPECTED\n",
    }
    base = BaseTree({path: text.encode() for path, text in tree.items()}, {}, {})
    criteria = {"tests": [{"cmd": "pytest tests"}]}
    task = TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
    assert (await TesterAgent().run(task)).verdict == "passed"
