"""The locks name exactly what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.documented import ROOT

FOLDER = ROOT / "requirements"
LOCKS = sorted(FOLDER.glob("*.lock"))
EXTRAS = {
    "run": {"embedded", "map"},
    "postgres": {"postgres"},
    "gemini": {"gemini"},
    "openai": {"openai"},
    "anthropic": {"anthropic"},
    "gateway": {"gateway"},
    "rollout": {"rollout"},
    "otel": {"otel"},
    "checks": {"checks"},
    "bench": {"bench", "postgres"},
    "dev": {"embedded", "map", "checks", "dev", "postgres", "gemini", "gemini-legacy"}
    | {"openai", "anthropic", "gateway", "rollout", "otel"},
}
_ENTRY = re.compile(
    r"^([^\s;\[]+)(?:\[[a-z0-9, -]+\])?==([^\s;\\]+)([^\\\n]*)\\\n"
    r"((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)


def locked(path: Path) -> dict[str, str]:
    """Version by package."""
    return {
        canonicalize_name(name): version for name, version, _, _ in _ENTRY.findall(path.read_text("utf-8"))
    }


def asked(lock: str) -> list[Requirement]:
    """What a lock must satisfy."""
    if lock == "build":
        lines = (FOLDER / "build.in").read_text("utf-8").splitlines()
        return [Requirement(line) for line in lines]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [
        Requirement(line)
        for line in [*project["dependencies"], *(one for e in EXTRAS[lock] for one in optional[e])]
    ]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_it_satisfies_the_project(path: Path) -> None:
    versions = locked(path)
    wrong = [
        f"{requirement}: locked is {versions.get(canonicalize_name(requirement.name), 'nothing')}"
        for requirement in asked(path.stem)
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0.dev0"))
    ]
    assert not wrong, "run make lock"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_line_is_a_pin_with_hashes(path: Path) -> None:
    rest = _ENTRY.sub("", path.read_text("utf-8"))
    assert [line for line in rest.splitlines() if not line.strip().startswith("#")] == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_it_agrees_with_the_largest(path: Path) -> None:
    everything = locked(FOLDER / "dev.lock")
    if path.stem == "bench":
        # Of an environment of its own; what is measured there must be what is run.
        everything = locked(FOLDER / "run.lock") | locked(FOLDER / "postgres.lock")
    versions = locked(path)
    assert versions
    assert {name: v for name, v in versions.items() if everything.get(name, v) != v} == {}


def test_there_is_a_lock_for_every_environment() -> None:
    assert {path.stem for path in LOCKS} == {*EXTRAS, "build"}


def test_the_build_backend_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert set(project["build-system"]["requires"]) <= set(
        (FOLDER / "build.in").read_text("utf-8").splitlines()
    )
