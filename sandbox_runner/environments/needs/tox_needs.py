"""Reads what tox installs for a repository's tests: packages, groups and extras of its base environment."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from contracts.base.errors import InvalidInput
from sandbox_runner.environments.needs.texts import read_toml, text_of

TOML: Final = "tox.toml"
INI: Final = "tox.ini"
_BASE: Final = "testenv"
_CONDITION: Final = re.compile(r"^!?[\w.{},!-]+\s*:(?:\s|$)")
_ROOT: Final = re.compile(r"\{(?:toxinidir|tox_root)\}(?:/|\{/\})?")


class ToxNeeds(NamedTuple):
    """What the environment holds that all others of tox start from."""

    file: str = ""
    """Where this was read; "" where nothing of it stands anywhere."""
    lines: tuple[str, ...] = ()
    """As in a requirements file at the root of the tree."""
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


def tox_needs(files: Mapping[str, bytes], project: Mapping[str, Any]) -> ToxNeeds:
    """Read the first of the places that tox reads. Raises InvalidInput for a file that is broken.

    project: what pyproject.toml holds.
    """
    own = project.get("tool", {}).get("tox")
    if INI in files:
        return _from_ini(INI, text_of(files[INI]))
    if isinstance(own, dict) and isinstance(text := own.get("legacy_tox_ini"), str):
        return _from_ini("pyproject.toml", text)
    if isinstance(own, dict):
        return _from_toml("pyproject.toml", own)
    if TOML in files:
        return _from_toml(TOML, read_toml(TOML, files[TOML]))
    return ToxNeeds()


def _from_ini(file: str, text: str) -> ToxNeeds:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        why = " ".join(str(error).split())
        raise InvalidInput(f"{file} of the repository cannot be read as tox's: {why}") from None
    lines, groups, extras = (
        tuple(_unconditional(parser.get(_BASE, name, fallback="")))
        for name in ("deps", "dependency_groups", "extras")
    )
    return _found(file, lines, _words(groups), _words(extras))


def _from_toml(file: str, tables: Mapping[str, Any]) -> ToxNeeds:
    base = tables.get("env_run_base")
    lines, groups, extras = (
        tuple(one for one in _list(base, name) if isinstance(one, str))
        for name in ("deps", "dependency_groups", "extras")
    )
    return _found(file, lines, groups, extras)


def _found(file: str, lines: tuple[str, ...], groups: tuple[str, ...], extras: tuple[str, ...]) -> ToxNeeds:
    found = ToxNeeds(file, tuple(_ROOT.sub("", line) for line in lines), groups, extras)
    return found if any(found[1:]) else ToxNeeds()


def _unconditional(text: str) -> Iterator[str]:
    """Yield the lines of a setting; those for some environments only, such as `coverage: a`, are left out."""
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#") and not _CONDITION.match(line):
            yield line


def _words(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.strip() for line in lines for word in line.split(",") if word.strip())


def _list(table: object, name: str) -> list[Any]:
    found = table.get(name) if isinstance(table, dict) else None
    return found if isinstance(found, list) else []
