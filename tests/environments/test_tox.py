"""What tests need may stand where tox reads it, and nowhere else."""

from __future__ import annotations

import pytest

from contracts.base.errors import InvalidInput
from sandbox_runner.environments.needs.python_needs import PythonNeeds, python_needs
from sandbox_runner.environments.needs.wanted import wanted_paths

INI = """
[testenv]
deps = pytest
    # by hand
    -r{toxinidir}/more/requirements.txt
    coverage: coverage
    py{310,311}: old
    !fast: slow
    thing @ git+https://elsewhere.invalid/thing
    own[more] ; python_version > "3"
dependency_groups = checks
extras = fast, small
[testenv:docs]
deps = sphinx
"""
PROJECT = """
[project]
name = "mine"
dependencies = ["a"]
optional-dependencies = { fast = ["b"], small = ["c"] }
[dependency-groups]
checks = ["d"]
"""
TABLES = """
deps = ["pytest", "-r {tox_root}/more/requirements.txt", { replace = "ref", of = ["x"] }]
dependency_groups = ["checks"]
extras = ["fast", "small"]
"""
MORE = {"more/requirements.txt": "e"}


def read(files: dict[str, str]) -> PythonNeeds:
    found = python_needs({path: text.encode() for path, text in files.items()})
    assert found is not None
    return found


def test_the_base_environment_of_tox_ini() -> None:
    needs = read({"pyproject.toml": PROJECT, "tox.ini": INI, **MORE})
    assert needs.lines == ("a", "b", "c", "pytest", 'own[more]; python_version > "3"', "e", "d")
    assert needs.optional == needs.lines[3:]
    assert needs.extras == ("fast", "small")
    assert needs.left_out == ("thing @ git+https://elsewhere.invalid/thing",)
    assert needs.read == ("pyproject.toml", "tox.ini", "more/requirements.txt")


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": PROJECT, "tox.toml": f"[env_run_base]{TABLES}"},
        {"pyproject.toml": f"{PROJECT}[tool.tox.env_run_base]{TABLES}"},
        {"pyproject.toml": f"{PROJECT}[tool.tox]\nlegacy_tox_ini = '''{INI}'''"},
    ],
)
def test_the_other_places_that_tox_reads(files: dict[str, str]) -> None:
    needs = read({**files, **MORE})
    assert {"a", "b", "c", "pytest", "d", "e"} <= set(needs.lines)
    assert (needs.extras, "sphinx" in needs.lines) == (("fast", "small"), False)


def test_tox_alone_is_enough_and_what_says_nothing_is_not_read() -> None:
    assert read({"tox.ini": "[testenv]\ndeps = nose\n"}).lines == ("nose",)
    assert read({"tox.ini": "[pytest]\naddopts = -ra", "requirements.txt": "a"}).read == ("requirements.txt",)
    assert python_needs({"tox.ini": b"[tox]\nenvlist = py311\n"}) is None
    assert wanted_paths(["tox.ini", "tox.toml", "deep/tox.ini"]) == ["tox.ini", "tox.toml"]


@pytest.mark.parametrize(("path", "text"), [("tox.ini", "deps = a"), ("tox.toml", "[env_run_base")])
def test_a_broken_file_is_named(path: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"{path} of the repository cannot be read"):
        read({path: text, "requirements.txt": "a"})
