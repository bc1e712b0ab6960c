"""What a repository says that its Python code needs, read from the files of a tree. Nothing is executed."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from packaging.utils import canonicalize_name

from contracts.base.errors import InvalidInput
from sandbox_runner.environments.needs.requirement_lines import (
    RequirementLines,
    clean,
    read_requirements,
    requirement_of,
)
from sandbox_runner.environments.needs.texts import read_toml, text_of
from sandbox_runner.environments.needs.tox_needs import ToxNeeds, tox_needs

_TESTS: Final = ("test", "tests", "testing")
_DEVELOPMENT: Final = ("dev",)
_FILES = re.compile(
    r"^(?:(?:tests?|requirements)/)?"
    r"(?:requirements(?:[-_.](?P<after>\w+))?|(?P<before>\w+)[-_]requirements|(?P<only>tests?|testing|dev))"
    r"\.txt$"
)
_OLD_BUILD: Final = ("setuptools>=40.8.0", "wheel")
"""What PEP 517 says of a repository that names no build system and has a setup.py."""


@dataclass(frozen=True, slots=True)
class PythonNeeds:
    """What a repository asks for."""

    requires_python: str = ""
    preferred_python: str = ""
    """What `.python-version` names."""
    lines: tuple[str, ...] = ()
    """Requirements for its programs and its tests."""
    optional: tuple[str, ...] = ()
    """Those of the lines that only requirements files, tox or uv's default groups have, with tools."""
    constraints: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    """Of its own package, for its tests."""
    groups: tuple[str, ...] = ()
    """Dependency groups for its tests."""
    optional_groups: tuple[str, ...] = ()
    """Those of tox, and uv's default ones."""
    build: tuple[str, ...] | None = None
    """What its own build needs; None where it has none and nothing of it is installed."""
    asks_the_build: bool = False
    """Whether only its own build can say what it needs."""
    read: tuple[str, ...] = ()
    """The files that this was read from."""
    left_out: tuple[str, ...] = ()


@dataclass(slots=True)
class _Collected:
    name: str = ""
    lines: dict[str, None] = field(default_factory=dict)
    offered: dict[str, list[str]] = field(default_factory=dict)
    """The extras of its own package."""
    extras: dict[str, None] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    requires_python: str = ""
    asks_the_build: bool = False

    def add(self, texts: object) -> None:
        """Add requirements; one that names the repository's own package stands for its extras."""
        for text in texts if isinstance(texts, list) else ():
            line = clean(str(text))
            if line is None:
                self.left_out.append(str(text)[:100])
            elif self.name and canonicalize_name(requirement_of(line).name) == self.name:
                self.add_extras(sorted(requirement_of(line).extras))
            else:
                self.lines[line] = None

    def add_extras(self, names: list[str]) -> None:
        """Add what extras of its own package hold."""
        for name in names:
            if name not in self.extras:
                self.extras[name] = None
                self.add(self.offered.get(name))


def python_needs(files: Mapping[str, bytes]) -> PythonNeeds | None:
    """Read what a tree needs; None for one that says nothing. Raises InvalidInput for a file that is broken.

    files: path -> content, of at least those that wanted.wanted_paths names.
    """
    project = read_toml("pyproject.toml", files.get("pyproject.toml", b""))
    found = _Collected()
    _from_project(project, found)
    _from_setup(files, project, found)
    found.add_extras(_for_tests(found.offered))
    _from_groups(project, found)
    tox = tox_needs(files, project)
    texts = _requirement_files(files, tox)
    found.add_extras([*texts.extras, *tox.extras])
    required = set(found.lines)
    found.add(texts.lines)
    found.add(_groups(project, tox.groups))
    found.add(_groups(project, _default_groups(project)))
    build = _build(project, files)
    if not (found.read or texts.read or build is not None):
        return None
    return PythonNeeds(
        requires_python=found.requires_python,
        preferred_python=next(iter(text_of(files.get(".python-version", b"")).split()), ""),
        lines=tuple(found.lines),
        optional=tuple(line for line in found.lines if line not in required),
        constraints=tuple(texts.constraints),
        extras=tuple(found.extras),
        groups=tuple(_for_tests(_table_of_groups(project))),
        optional_groups=tuple([*tox.groups, *_default_groups(project)]),
        build=build,
        asks_the_build=found.asks_the_build and build is not None,
        read=tuple(dict.fromkeys([*found.read, *texts.read])),
        left_out=tuple(dict.fromkeys([*found.left_out, *texts.left_out])),
    )


def _from_project(project: dict[str, Any], found: _Collected) -> None:
    about = project.get("project")
    if not isinstance(about, dict):
        return
    found.read.append("pyproject.toml")
    found.name = canonicalize_name(str(about.get("name", "")))
    found.requires_python = str(about.get("requires-python", ""))
    found.offered = _lists(about.get("optional-dependencies"))
    found.add(about.get("dependencies"))
    dynamic = about.get("dynamic", [])
    found.asks_the_build = "dependencies" in dynamic or "optional-dependencies" in dynamic


def _from_setup(files: Mapping[str, bytes], project: dict[str, Any], found: _Collected) -> None:
    """Read what says it where pyproject.toml has no table `project`: setup.cfg, or else only the build."""
    if isinstance(project.get("project"), dict):
        return
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text_of(files.get("setup.cfg", b"")))
    except configparser.Error as error:
        raise InvalidInput(f"setup.cfg of the repository cannot be read: {error.message}") from None
    found.name = canonicalize_name(parser.get("metadata", "name", fallback=""))
    if parser.has_option("options", "install_requires"):
        found.read.append("setup.cfg")
        found.requires_python = parser.get("options", "python_requires", fallback="")
        if parser.has_section("options.extras_require"):
            found.offered = {name: _cfg_lines(text) for name, text in parser.items("options.extras_require")}
        found.add(_cfg_lines(parser.get("options", "install_requires")))
    elif "setup.py" in files:
        found.read.append("setup.py")
        found.asks_the_build = True
    elif "poetry" in project.get("tool", {}):
        found.read.append("pyproject.toml")
        found.asks_the_build = True


def _from_groups(project: dict[str, Any], found: _Collected) -> None:
    if groups := _table_of_groups(project):
        found.read.append("pyproject.toml")
        for name in _for_tests(groups):
            found.add(list(_group(groups, name, ())))


def _default_groups(project: dict[str, Any]) -> list[str]:
    """Those that uv installs for whoever works on it: tests may import what another than theirs has."""
    uv = project.get("tool", {}).get("uv")
    named = uv.get("default-groups") if isinstance(uv, dict) else None
    if named == "all":
        return list(_table_of_groups(project))
    return list(map(str, named)) if isinstance(named, list) else []


def _groups(project: dict[str, Any], names: Iterable[str]) -> list[str]:
    groups = _table_of_groups(project)
    return [line for name in names for line in _group(groups, name, ())]


def _table_of_groups(project: dict[str, Any]) -> dict[str, Any]:
    groups = project.get("dependency-groups")
    return groups if isinstance(groups, dict) else {}


def _build(project: dict[str, Any], files: Mapping[str, bytes]) -> tuple[str, ...] | None:
    system = project.get("build-system")
    if isinstance(system, dict):
        return tuple(filter(None, (clean(str(text)) for text in system.get("requires", []))))
    return _OLD_BUILD if "setup.py" in files or b"[metadata]" in files.get("setup.cfg", b"") else None


def _requirement_files(files: Mapping[str, bytes], tox: ToxNeeds) -> RequirementLines:
    main = [path for path in ("requirements.txt", "requirements/requirements.txt") if path in files]
    purposes: dict[str, list[str]] = {}
    for path in sorted(files):
        if (match := _FILES.match(path)) and (purpose := _purpose(path, match)):
            purposes.setdefault(purpose, []).append(path)
    named = [path for name in _for_tests(purposes) for path in purposes[name]]
    if not tox.file:
        return read_requirements(files, main + named)
    of_tox = {tox.file: "\n".join(tox.lines).encode()}
    return read_requirements({**files, **of_tox}, [*main, *named, tox.file])


def _purpose(path: str, match: re.Match[str]) -> str:
    named = match["after"] or match["before"] or match["only"] or ""
    return named or ("tests" if path.startswith(("test/", "tests/")) else "")


def _for_tests(named: Mapping[str, object]) -> list[str]:
    """The names that are for tests; those for development where there is none."""
    for wanted in (_TESTS, _DEVELOPMENT):
        if chosen := [name for name in named if canonicalize_name(name) in wanted]:
            return chosen
    return []


def _group(groups: dict[str, Any], name: str, path: tuple[str, ...]) -> Iterator[str]:
    """Yield what a group of PEP 735 holds, and what those hold that it includes."""
    if name in path:
        raise InvalidInput(f"pyproject.toml of the repository: dependency group {name!r} includes itself")
    for one in groups.get(name, []):
        if isinstance(one, dict):
            yield from _group(groups, str(one.get("include-group", "")), (*path, name))
        else:
            yield str(one)


def _lists(value: object) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        return {}
    return {str(key): [str(one) for one in lines] for key, lines in value.items() if isinstance(lines, list)}


def _cfg_lines(value: str) -> list[str]:
    return [line.strip() for line in value.splitlines() if line.strip() and not line.strip().startswith("#")]
