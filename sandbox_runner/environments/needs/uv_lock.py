"""Reads which versions a `uv.lock` names, with their hashes. No address in it is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from sandbox_runner.environments.needs.core_metadata import markers_of
from sandbox_runner.environments.needs.requirement_lines import clean, requirement_of
from sandbox_runner.environments.needs.texts import read_toml

FILE: Final = "uv.lock"
_KNOWN: Final = 1
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LOCAL: Final = ("editable", "virtual", "directory")
_Reached = tuple[str, str]
"""A package of the lock: its name and its version."""


class LockNotUsed(Exception):
    """A lock that does not say what is needed here. The text says why, in words that follow its name."""


@dataclass(frozen=True, slots=True)
class LockedVersions:
    """What a lock says is installed."""

    lines: tuple[str, ...]
    """One version of each package with its hashes, as lines for pip."""
    optional: tuple[str, ...]
    """Those of the lines that only the optional groups lead to."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Name -> `==` and the version."""
        asked = [requirement_of(line) for line in self.lines]
        return {canonicalize_name(one.name): str(one.specifier) for one in asked}


def read_lock(
    content: bytes,
    python: str,
    *,
    extras: Sequence[str],
    groups: Sequence[str],
    optional_groups: Sequence[str],
    lines: Sequence[str],
) -> LockedVersions:
    """Read what it says of the repository's own package. Raises LockNotUsed, InvalidInput.

    python: the version of the interpreter. lines: what the repository asks for, which it must hold.
    """
    lock = read_toml(FILE, content)
    if lock.get("version") != _KNOWN or lock.get("conflicts"):
        raise LockNotUsed("has a form that is not known here")
    _check_python(str(lock.get("requires-python", "")), python)
    graph = _Graph(lock, python)
    required = graph.reached(extras, groups)
    every = graph.reached(extras, [*groups, *optional_groups])
    found = {one: graph.line(one) for one in sorted(every) if graph.is_fetched(one)}
    _check_single(found)
    locked = LockedVersions(
        tuple(found.values()), tuple(line for one, line in found.items() if one not in required)
    )
    _check_new_enough(locked.versions, lines, python)
    return locked


def _check_python(requires: str, python: str) -> None:
    try:
        fits = SpecifierSet(requires).contains(python, prereleases=True)
    except InvalidSpecifier:
        fits = False
    if not fits:
        raise LockNotUsed(f"is for Python {requires[:80]}, and this is {python}")


def _check_single(found: Iterable[_Reached]) -> None:
    names = [name for name, _ in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LockNotUsed(f"has several versions of {twice[0]} for this Python")


def _check_new_enough(versions: Mapping[str, str], lines: Sequence[str], python: str) -> None:
    environment = markers_of(python)
    for line in lines:
        asked = requirement_of(line)
        if not _holds(str(asked.marker or ""), environment):
            continue
        locked = versions.get(canonicalize_name(asked.name), "")
        if not locked or not asked.specifier.contains(locked.removeprefix("=="), prereleases=True):
            there = f"has {asked.name}{locked}" if locked else f"has no {asked.name}"
            raise LockNotUsed(f"is older than what is asked for: it {there}, not {line.partition(' --')[0]}")


@dataclass(slots=True)
class _Graph:
    """The packages of a lock, and what leads to what on this machine."""

    lock: dict[str, Any]
    python: str
    packages: dict[_Reached, dict[str, Any]] = field(init=False)
    environment: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = markers_of(self.python)
        named = [one for one in _objects(self.lock.get("package")) if isinstance(one.get("name"), str)]
        self.packages = {(canonicalize_name(one["name"]), str(one.get("version", ""))): one for one in named}

    def reached(self, extras: Sequence[str], groups: Sequence[str]) -> set[_Reached]:
        """All that the repository's own package leads to, itself aside."""
        root = next((one for one, about in self.packages.items() if _is_root(about)), None)
        if root is None:
            raise LockNotUsed("has no package of this folder")
        own = self.packages[root]
        waiting = [*self._asked(root, ("", *extras))]
        for name in groups:
            waiting += self._held(own.get("dev-dependencies"), name)
        found: set[tuple[_Reached, str]] = set()
        while waiting:
            asked = waiting.pop()
            if asked not in found:
                found.add(asked)
                waiting += self._asked(asked[0], (asked[1],))
        return {one for one, _ in found if one != root}

    def is_fetched(self, one: _Reached) -> bool:
        """Tell whether it comes from an index; a folder of the repository does not."""
        return not any(kind in self._source(one) for kind in _LOCAL)

    def line(self, one: _Reached) -> str:
        """The line that asks for a package. Raises LockNotUsed for one that comes from an address."""
        about = self.packages[one]
        if "registry" not in self._source(one):
            raise LockNotUsed(f"takes {one[0]} from an address, and only packages of an index are fetched")
        files = [*_objects(about.get("wheels")), *_objects([about.get("sdist")])]
        hashes = [str(file.get("hash")) for file in files]
        line = clean(f"{one[0]}=={one[1]}")
        if line is None or not hashes or not all(map(_HASH.fullmatch, hashes)):
            raise LockNotUsed(f"has no hashes of {one[0]} that are known here")
        return " ".join([line, *(f"--hash={text}" for text in dict.fromkeys(hashes))])

    def _source(self, one: _Reached) -> dict[str, Any]:
        source = self.packages[one].get("source")
        return source if isinstance(source, dict) else {}

    def _asked(self, one: _Reached, extras: Sequence[str]) -> Iterator[tuple[_Reached, str]]:
        """Yield what a package with extras asks for; "" are its own dependencies."""
        about = self.packages[one]
        for extra in extras:
            if extra:
                yield from self._held(about.get("optional-dependencies"), extra)
            else:
                yield from self._chosen(about.get("dependencies"))

    def _held(self, table: object, name: str) -> Iterator[tuple[_Reached, str]]:
        for key, asked in table.items() if isinstance(table, dict) else ():
            if canonicalize_name(key) == canonicalize_name(name):
                yield from self._chosen(asked)

    def _chosen(self, asked: object) -> Iterator[tuple[_Reached, str]]:
        for about in _objects(asked):
            if _holds(str(about.get("marker", "")), self.environment):
                one, extras = self._found(about), about.get("extra", [])
                if not isinstance(extras, list):
                    raise LockNotUsed(f"has extras of {one[0][:80]} that are no list")
                yield one, ""
                for extra in extras:
                    yield one, str(extra)

    def _found(self, about: dict[str, Any]) -> _Reached:
        name, version = canonicalize_name(str(about.get("name", ""))), about.get("version")
        fitting = [one for one in self.packages if one[0] == name and version in {None, one[1]}]
        if len(fitting) != 1:
            raise LockNotUsed(f"does not say which version of {name[:80]} is meant")
        return fitting[0]


def _holds(marker: str, environment: Mapping[str, str]) -> bool:
    """Tell whether a condition holds; "" does."""
    try:
        return not marker or Marker(marker).evaluate({**environment, "extra": ""})
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, RecursionError):
        raise LockNotUsed(f"has a condition that cannot be read: {marker[:80]}") from None


def _is_root(about: dict[str, Any]) -> bool:
    source = about.get("source")
    return isinstance(source, dict) and any(source.get(kind) == "." for kind in _LOCAL)


def _objects(values: object) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []
