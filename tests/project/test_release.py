"""A release: what the changelog calls it, and the schemas that it promises."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from contracts.base.model import SCHEMA_VERSION
from contracts.schema.files import CURRENT_RELEASE, breakages, generate
from contracts.schema.registry import RELEASED
from tests.project.documented import ROOT

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
RELEASE = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+) - ([0-9-]{10})")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
SECTIONS = SECTION.findall(CHANGELOG)


def releases() -> list[tuple[tuple[int, ...], date]]:
    """Version and day of each released section, as they stand."""
    found = [RELEASE.fullmatch(title) for title in SECTIONS[1:]]
    assert all(found), f"a section after the first is named `VERSION - DAY`: {SECTIONS}"
    return [(tuple(map(int, one.groups()[:3])), date.fromisoformat(one[4])) for one in found if one]


def unreleased() -> str:
    """What the next release is going to say."""
    return SECTION.split(CHANGELOG)[2].strip()


def test_what_is_not_released_comes_first() -> None:
    assert SECTIONS[0] == "Unreleased", "keep a section `## Unreleased` on top, empty or not"


def test_releases_stand_newest_first() -> None:
    assert releases() == sorted(releases(), reverse=True)


def test_the_version_is_that_of_the_newest_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    newest = ".".join(map(str, releases()[0][0]))
    assert project["version"] == newest, "give the section of CHANGELOG.md and pyproject.toml one version"


def test_a_release_has_kept_its_schemas() -> None:
    """What was added since may be new; at a release itself the kept files are those of the models."""
    kept = {path.stem: path.read_text("utf-8") for path in CURRENT_RELEASE.glob("*.json")}
    if unreleased():
        assert not breakages()
    else:
        assert kept == generate(), (
            f"raise SCHEMA_VERSION ({SCHEMA_VERSION}) and run python -m contracts.schema.files --write"
        )


def of_this_major_version() -> list[Path]:
    """The schemas that documents of people were written against, and that still hold."""
    major = SCHEMA_VERSION.partition(".")[0]
    return sorted(folder for folder in RELEASED.iterdir() if folder.name.partition(".")[0] == major)


@pytest.mark.parametrize("folder", of_this_major_version(), ids=lambda folder: folder.name)
def test_documents_of_earlier_releases_can_be_read(folder: Path) -> None:
    assert not breakages(folder), "make the change compatible, or raise the first number of SCHEMA_VERSION"
