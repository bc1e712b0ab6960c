"""Which command runs a repository's own tests."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection
from typing import Final

from contracts.base.languages import NODE, PYTHON

PACKAGE_FILE: Final = "package.json"

PYTEST: Final = "python -m pytest"
"""Runs all that it finds."""
_NO_SCRIPT: Final = "no test specified"
"""What npm writes into a package that has no tests."""


def test_command(paths: Collection[str], named: str | None, package: bytes | None) -> tuple[str, ...]:
    """Return the command for a tree, () for one without tests.

    named: what the settings of the repository name, which comes first.
    package: the content of PACKAGE_FILE, None without one.
    """
    if named:
        return tuple(shlex.split(named))
    if any(PYTHON.is_test_file(path) for path in paths):
        return tuple(PYTEST.split())
    if package is not None and _has_script(package):
        return ("npm", "test")
    if any(NODE.is_test_file(path) and "node_modules/" not in path for path in paths):
        return NODE.commands[0]
    return ()


def _has_script(package: bytes) -> bool:
    try:
        script = json.loads(package)["scripts"]["test"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(script, str) and bool(script.strip()) and _NO_SCRIPT not in script
