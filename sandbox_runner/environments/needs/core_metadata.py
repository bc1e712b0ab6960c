"""Reads what the core metadata of a package says that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement

from sandbox_runner.environments.needs.requirement_lines import clean


def needs_of_metadata(metadata: Mapping[str, Any], extras: Sequence[str], python: str) -> tuple[str, ...]:
    """The requirements for these extras, as lines for pip; with no extras, those for tests that it offers."""
    offered = [str(one) for one in metadata.get("provides_extra", []) or []]
    wanted = list(extras) or [one for one in ("test", "tests", "testing") if one in offered]
    if not wanted and "dev" in offered:
        wanted = ["dev"]
    return tuple(_lines(metadata.get("requires_dist", []) or [], wanted, python))


def markers_of(python: str) -> dict[str, str]:
    """What conditions are told of this machine, with another version of Python."""
    environment = {name: str(value) for name, value in default_environment().items()}
    return environment | {"python_full_version": python, "python_version": python.rpartition(".")[0]}


def _lines(texts: Sequence[object], extras: Sequence[str], python: str) -> Iterator[str]:
    environment = markers_of(python)
    for text in texts:
        try:
            asked = Requirement(str(text))
            holds = asked.marker is None or any(
                asked.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)
            )
        except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            continue  # as pip does not read it either
        asked.marker = None
        if holds and (line := clean(str(asked))) is not None:
            yield line
