"""Reads source text that nobody trusts: what is wrong with it. Nothing is compiled or executed.

The parsers may take long, or end the process, for some texts: see contracts.base.processes.bounded_call.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Final

from contracts.base.errors import InvalidDocument
from contracts.base.strict_json import read_json

CHECKED_SUFFIXES: Final = (".py", ".json")
_TEST_NAMES: Final = {
    "python": re.compile(r"def (test_[A-Za-z0-9_]+)\("),
    "other": re.compile(r"(test_[A-Za-z0-9_]+)"),
}


def content_problems(files: Iterable[tuple[str, str]]) -> list[str]:
    """Say what is wrong with the contents of Python and JSON files; other files are not looked at."""
    problems = []
    for path, content in files:
        if path.endswith(".py") and (problem := python_problem(content)):
            problems.append(f"file {path!r}: {problem}")
        elif path.endswith(".json") and not _is_json(content, path):
            problems.append(f"file {path!r} is not valid JSON")
    return problems


def _is_json(content: str, path: str) -> bool:
    try:
        read_json(content, path)
    except InvalidDocument:
        return False
    return True


def absent_tests(names: Sequence[str], texts: Iterable[str], *, python: bool) -> list[str]:
    """Return those of the names of tests that the texts do not have, in one pass over each text."""
    pattern = _TEST_NAMES["python" if python else "other"]
    found = {match for text in texts for match in pattern.findall(text)}
    return [name for name in names if name not in found]


def parsed_python(source: bytes | str) -> ast.Module | None:
    """Parse Python; None when it is invalid. Nothing is compiled or executed."""
    tree, _ = _parse(source)
    return tree


def python_problem(source: str) -> str | None:
    """Say why the text is not valid Python; None when it is valid.

    The parser's own message is left out, because it differs between Python versions.
    """
    _, problem = _parse(source)
    return problem


def _parse(source: bytes | str) -> tuple[ast.Module | None, str | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source), None
        except SyntaxError as error:
            return None, f"line {error.lineno or 1} is not valid Python"
        except ValueError:
            return None, "it is not valid Python"
        except (RecursionError, MemoryError):
            return None, "it is too large, or nested too deeply, to be read as Python"
