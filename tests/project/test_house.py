"""How the packages are laid out, and what files and tests may do. `pyproject.toml` has the import rules."""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.project.documented import ROOT
from tests.project.test_repository import repository_files

PACKAGES = (
    "agents",
    "artifacts",
    "contracts",
    "migrations",
    "multi_agent",
    "orchestrator",
    "planner_service",
    "sandbox_runner",
)
MOST_FILES = 16
MOST_LINES = 300
MOST_EXCEPTIONS = 5

# Each exception has its reason. One that is not needed any more fails, so that the lists stay short.
WIDE_FOLDERS: dict[str, str] = {}
LONG_FILES: dict[str, str] = {}
CLASSES_WITH_TWO_HOMES: dict[str, str] = {}
READS_THE_ENVIRONMENT = {
    "agents/testing/harness/session.py": "runs in the sandbox, whose environment is the interface",
    "agents/testing/harness/quiet.py": "as above",
    "agents/testing/harness/apart/tests_side.py": "as above",
    "agents/testing/harness/apart/peer.py": "as above, and tells the code's process of it",
    "agents/testing/harness/apart/code_side.py": "as above",
    "agents/testing/harness/supervise.py": "runs in the sandbox, and drops what steers pytest",
    "artifacts/git/process.py": "gives Git the PATH, HOME and ssh agent of its caller",
    "multi_agent/chaos/forked.py": "gives a process the environment it would start with",
    "multi_agent/cli/processes/forked.py": "gives a forked process the environment it was ordered with",
    "multi_agent/runtime/forking/ahead.py": "starts before settings are read, in its caller's environment",
    "multi_agent/runtime/observing/shared_metrics.py": "tells prometheus_client where to count",
    "sandbox_runner/environments/making/installers.py": "gives pip and npm their user's settings of them",
    "sandbox_runner/probes/inside/quick.py": "looks for the host's environment in the sandbox",
}
# Everything else prints through contracts/base/printing.py, which makes text from outside visible.
PRINTS = {
    "agents/testing/harness/session.py": "runs in the sandbox, and flushes what tests print",
    "agents/testing/harness/apart/peer.py": "runs in the sandbox, and passes on what the code prints",
    "agents/testing/harness/apart/code_side.py": "runs in the sandbox, and keeps what the code prints",
    "contracts/base/printing.py": "lines, text and JSON",
    "multi_agent/chaos/forked.py": "opens the streams of a process anew",
    "multi_agent/cli/tables.py": "tables, and lines that change in place",
    "multi_agent/models/adapters/manual.py": "the prompt of a model that is a person",
    "multi_agent/runtime/forking/forked_children.py": "flushes the streams of a child before it ends",
    "multi_agent/telemetry/logs.py": "logs",
    "sandbox_runner/probes/inside/abuse.py": "runs in the sandbox, and reports to its standard output",
    "sandbox_runner/probes/inside/quick.py": "runs in the sandbox, and reports to its standard output",
}
CLICK_PRINTS = {"echo", "secho", "style", "prompt", "confirm", "pause", "progressbar", "echo_via_pager"}
# Patches that have no other way in, by file: how many, and what each stands in for.
PATCHES = {
    "tests/agents/test_exchanges.py": (1, "a process that was stopped for longer than a second"),
    "tests/agents/test_node.py": (1, "a sandbox without Node.js"),
    "tests/orchestrator/test_database.py": (1, "a driver that gives way at every step"),
    "tests/orchestrator/test_owner.py": (1, "a poll that never comes"),
    "tests/sandbox/probing.py": (1, "a wall with a gap"),
    "tests/sandbox/test_fuzz.py": (3, "a reader of tar streams with a fault, and limits that are exceeded"),
    "tests/sandbox/test_landlock.py": (1, "kernels with other versions of Landlock"),
    "tests/sandbox/test_sandbox_command.py": (
        4,
        "programs that get through a wall, and a backend that hangs",
    ),
    "tests/sandbox/test_selftest.py": (1, "a backend with a gap"),
}
# Runs inside the sandbox, where nothing but this can be imported.
INSIDE = {
    "sandbox_runner/guest": {"sandbox_runner.guest"},
    "sandbox_runner/probes/inside": {"sandbox_runner.probes.inside"},
    "agents/testing/harness": {"pytest", "_pytest", "coverage", "strict", "meter", "supervise"},
}


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository, as a path from its root."""
    return tuple(sorted(path.relative_to(ROOT).as_posix() for path in repository_files()))


def python_files(*folders: str) -> list[str]:
    """The Python files below these folders."""
    return [name for name in tracked() if name.endswith(".py") and name.split("/", maxsplit=1)[0] in folders]


def tree(name: str) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse((ROOT / name).read_text("utf-8"), name)


def test_no_folder_is_wide() -> None:
    sizes = Counter(
        str(Path(name).parent)
        for name in tracked()
        if name.split("/", maxsplit=1)[0] in PACKAGES and "recordings" not in name
    )
    wide = {folder for folder, count in sizes.items() if count > MOST_FILES}
    assert wide == set(WIDE_FOLDERS), f"more than {MOST_FILES} files: make rooms by subject; fewer: strike it"


def test_no_file_is_long() -> None:
    lengths = {name: (ROOT / name).read_bytes().count(b"\n") for name in python_files(*PACKAGES)}
    long = {name for name, length in lengths.items() if length > MOST_LINES}
    assert long == set(LONG_FILES), f"more than {MOST_LINES} lines: split by subject; fewer: strike it"


def test_exceptions_are_few() -> None:
    assert len(WIDE_FOLDERS) + len(LONG_FILES) <= MOST_EXCEPTIONS


def test_a_class_has_one_home() -> None:
    homes = defaultdict(list)
    for name in python_files(*PACKAGES):
        for node in tree(name).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)
    several = {name: files for name, files in homes.items() if len(files) > 1}
    assert set(several) == set(CLASSES_WITH_TWO_HOMES), f"say in the name what each is: {several}"


def test_only_settings_read_the_environment() -> None:
    found = {name for name in python_files(*PACKAGES) if any(_environment_reads(tree(name)))}
    allowed = {"multi_agent/settings.py", *READS_THE_ENVIRONMENT}
    assert found == allowed, "add a field to multi_agent/settings.py and pass its value in from bootstrap"


def _environment_reads(module: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}:
            yield node
        if isinstance(node, ast.alias) and node.name in {"environ", "getenv", "BaseSettings"}:
            yield node


def test_one_module_prints() -> None:
    found = {name for name in python_files(*PACKAGES) if any(_prints(tree(name)))}
    assert found == set(PRINTS), "print with contracts.base.printing, or tables with multi_agent.cli.tables"


def _prints(module: ast.Module) -> Iterator[ast.AST]:
    """What writes to a terminal: print, what click has for it, rich, and the streams themselves."""
    for node in ast.walk(module):
        match node:
            case (
                ast.Name(id="print")
                | ast.Attribute(
                    value=ast.Name(id="sys"), attr="stdout" | "stderr" | "__stdout__" | "__stderr__"
                )
            ):
                yield node
            case ast.Attribute(value=ast.Name(id="click"), attr=attr) if attr in CLICK_PRINTS:
                yield node
            case ast.Import(names=names) if any(one.name.partition(".")[0] == "rich" for one in names):
                yield node
            case ast.ImportFrom(module=str(source), names=names):
                root = source.partition(".")[0]
                if root == "rich" or (root == "click" and any(one.name in CLICK_PRINTS for one in names)):
                    yield node


def test_tests_patch_nothing() -> None:
    counts = {name: sum(1 for _ in _patches(tree(name))) for name in python_files("tests", "benchmarks")}
    found = {name: count for name, count in counts.items() if count}
    allowed = {name: count for name, (count, _) in PATCHES.items()}
    assert found == allowed, (
        "pass in the real thing or a strict fake that ships; setenv and chdir are no patches"
    )


def _patches(module: ast.Module) -> Iterator[ast.AST]:
    """What replaces a part of the program while it runs: monkeypatch, unittest.mock."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in {"setattr", "delattr", "setitem", "delitem"}:
            yield node
        if isinstance(node, ast.Import) and any(one.name.startswith("unittest.mock") for one in node.names):
            yield node
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest"):
            yield node


@pytest.mark.parametrize("folder", INSIDE)
def test_inside_the_sandbox_is_only_the_standard_library(folder: str) -> None:
    known = INSIDE[folder] | sys.stdlib_module_names
    foreign = {
        f"{name}: {imported}"
        for name in tracked()
        if name.startswith(f"{folder}/") and name.endswith(".py")
        for imported in _imports(tree(name))
        if not any(imported == one or imported.startswith(f"{one}.") for one in known)
    }
    assert not foreign, "write it with the standard library: the sandbox has nothing else"


def _imports(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os\nos.environ['A']", 1),
        ("from os import getenv", 1),
        ("import os\nos.getpid()", 0),
        ("class A:\n    environment = 1", 0),
    ],
)
def test_reads_of_the_environment_are_seen(text: str, found: int) -> None:
    assert sum(1 for _ in _environment_reads(ast.parse(text))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("monkeypatch.setattr(a, 'b', 1)", 1),
        ("from unittest import mock", 1),
        ("from unittest.mock import patch", 1),
        ("import unittest.mock", 1),
        ("monkeypatch.setenv('A', 'b')", 0),
        ("setattr(x, 'y', 1)", 0),
        ("text = 'from unittest import mock'", 0),
    ],
)
def test_patches_are_seen(text: str, found: int) -> None:
    assert sum(1 for _ in _patches(ast.parse(text))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("print('a')", 1),
        ("say = print", 1),
        ("click.echo('a')", 1),
        ("from click import secho", 1),
        ("from rich.console import Console", 1),
        ("import rich.table", 1),
        ("sys.stderr.write('a')", 1),
        ("import sys\nsys.exit(1)\nclick.option('--a')", 0),
        ("print_line('a')", 0),
    ],
)
def test_prints_are_seen(text: str, found: int) -> None:
    assert sum(1 for _ in _prints(ast.parse(text))) == found
