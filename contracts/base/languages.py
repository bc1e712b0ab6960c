"""What the project knows of each language, as data. Sandboxes bring its programs, agents run its tests.

A further language is a record here, a harness in `agents/testing/harness/` and a plan in
`agents/testing/sessions.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from contracts.base.processes.command_lines import Advice


@dataclass(frozen=True, slots=True)
class Language:
    """One language."""

    name: str
    suffixes: tuple[str, ...]
    """Of its source files."""
    commands: tuple[tuple[str, ...], ...]
    """First words of the acceptance tests that a harness runs."""
    program: str
    """The program that runs it, by its name on PATH."""
    test_files: tuple[str, ...]
    """Patterns of the names of files with tests."""
    steering: tuple[str, ...]
    """Names, or patterns, of files that change how tests run. Only a tester's get into a test session."""
    image_packages: tuple[str, ...]
    """Debian packages for the container image."""
    how_to_get: Advice
    """How to get the program into a sandbox that lacks it."""
    rules: str = ""
    """What a model must know to write the language; "" where the prompts already say it."""
    test_folders: frozenset[str] = frozenset({"tests", "test"})
    """Folders in which every file serves the tests."""

    def is_test_file(self, path: str) -> bool:
        """Whether the language's test program looks for tests in the file."""
        name = path.rpartition("/")[2]
        return any(fnmatchcase(name, pattern) for pattern in self.test_files)

    def steers(self, path: str) -> bool:
        """Whether the file changes how tests run."""
        name = path.rpartition("/")[2]
        return any(fnmatchcase(name, pattern) for pattern in self.steering)


PYTHON: Final = Language(
    name="Python",
    suffixes=(".py",),
    commands=(("pytest",), ("python", "-m", "pytest"), ("python3", "-m", "pytest"), ("py.test",)),
    program="python",
    test_files=("test_*.py", "*_test.py"),
    steering=(
        "conftest.py",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        "tox.ini",
        "setup.cfg",
        ".coveragerc",
        "sitecustomize.py",
        "usercustomize.py",
        "*.pth",
        "*.pyc",
    ),
    image_packages=("python3", "python3-pytest", "python3-coverage"),
    how_to_get=Advice("build the image again", ("sandbox", "build")),
)

NODE: Final = Language(
    name="Node.js",
    suffixes=(".mjs", ".cjs", ".js"),
    commands=(("node", "--test"),),
    program="node",
    test_files=tuple(
        f"{name}{suffix}"
        for suffix in (".mjs", ".cjs", ".js")
        for name in ("*.test", "*-test", "*_test", "test-*", "test")
    ),
    steering=(".noderc", ".npmrc", "node.config.json"),
    image_packages=("nodejs",),
    how_to_get=Advice(
        "install Node.js 18.19 or newer on the worker's machine (apt install nodejs); for Docker build the "
        "image again",
        ("sandbox", "build"),
    ),
    rules="Write JavaScript modules for Node.js 18.19, `.mjs` files with `import` and `export`; there are no "
    "other packages and no TypeScript. Tests are for `node --test`: `node:test` and `node:assert/strict`, "
    "each with a plain name at the beginning of a line. What is said of Python and pytest does not "
    "apply.",
)

LANGUAGES: Final = (PYTHON, NODE)

CHECKERS: Final = ("bandit", "black", "flake8", "mypy", "ruff")
"""What Python files are checked with, by the names of package, module and program: the extra `checks`."""
HOW_TO_GET_CHECKERS: Final = Advice(
    "pip install 'multi-agent[checks]' on the sandbox's machine; for Docker build the image again",
    ("sandbox", "build"),
)


_NO_CODE: Final = (
    *(".md", ".rst", ".txt", ".html", ".css", ".svg", ".png", ".csv"),
    *(".json", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".lock"),
)
"""Endings of prose, pictures and data."""


def serves_tests(path: str) -> bool:
    """Whether the file serves the tests of a language instead of being code under test."""
    folders = set(path.split("/")[:-1])
    if path.endswith("conftest.py"):
        return True
    return any(language.is_test_file(path) or folders & language.test_folders for language in LANGUAGES)


def is_code(path: str) -> bool:
    """Whether a test should look at the file, or at what is below a folder, whose path ends with `/`."""
    name = path.rpartition("/")[2]
    return not serves_tests(path) and (not name or "." in name[1:]) and not name.endswith(_NO_CODE)


def steers_tests(path: str) -> bool:
    """Whether the file changes how the tests of a language run."""
    return any(language.steers(path) for language in LANGUAGES)


def code_under_test(paths: Iterable[str], language: Language) -> list[str]:
    """The language's files whose coverage counts, sorted."""
    return sorted(path for path in paths if path.endswith(language.suffixes) and not serves_tests(path))
