"""Reads requirements files of a repository, without trusting them.

What is taken from them is the names and versions of packages, with their hashes. Options that say where
packages come from are left out, since pip would ask any address and put variables of the user into it; so are
addresses, other repositories and folders.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

_MOST_FILES: Final = 100
_HASH = re.compile(r"\s--hash[= ](sha256:[0-9a-f]{64})(?=\s|$)")
_COMMENT = re.compile(r"(^|\s)#.*$")
_ITSELF = re.compile(r"^(?:-e\s*|--editable[= ]\s*)?\.(?:/)?(?:\[(?P<extras>[^\]]*)\])?$")
_REFERENCE = re.compile(r"^(?P<option>-r|-c|--requirement|--constraint)(?:\s*=?\s*)(?P<path>\S+)$")


@dataclass(slots=True)
class RequirementLines:
    """What requirements files ask for."""

    lines: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    """Of the repository's own package, where a file names the repository itself."""
    read: list[str] = field(default_factory=list)
    """Paths of the files."""
    left_out: list[str] = field(default_factory=list)


def read_requirements(files: Mapping[str, bytes], paths: list[str]) -> RequirementLines:
    """Read these files, and those that they name."""
    found = RequirementLines()
    waiting = [(path, False) for path in paths]
    while waiting:
        path, constrains = waiting.pop(0)
        if path in found.read or len(found.read) >= _MOST_FILES:
            continue
        if path not in files:
            found.left_out.append(f"{path} (no such file)")
            continue
        found.read.append(path)
        for line in _joined(files[path].decode("utf-8-sig", "replace")):
            if match := _REFERENCE.match(line):
                named = posixpath.normpath(posixpath.join(posixpath.dirname(path), match["path"]))
                waiting.append((named, constrains or match["option"] in {"-c", "--constraint"}))
            else:
                _add(line, found, constrains)
    return found


def requirement_of(line: str) -> Requirement:
    """The requirement in a clean line."""
    return Requirement(line.partition(" --hash=")[0])


def clean(line: str) -> str | None:
    """A requirement as it is given to pip, with its hashes; None for what is no name with versions."""
    hashes = _HASH.findall(f"{line} ")
    try:
        asked = Requirement(_HASH.sub("", line).strip())
    except InvalidRequirement:
        return None
    if asked.url:
        return None
    return " ".join([str(asked), *(f"--hash={one}" for one in hashes)])


def _add(line: str, found: RequirementLines, constrains: bool) -> None:
    if match := _ITSELF.match(line):
        found.extras += [one.strip() for one in (match["extras"] or "").split(",") if one.strip()]
    elif (cleaned := clean(line)) is not None:
        (found.constraints if constrains else found.lines).append(cleaned)
    else:
        found.left_out.append(line[:100])


def _joined(text: str) -> Iterator[str]:
    """Yield lines without comments; one that ends in a backslash goes on in the next."""
    whole = ""
    for part in text.splitlines():
        if part.endswith("\\"):
            whole += part[:-1] + " "
            continue
        line = _COMMENT.sub("", whole + part).strip()
        whole = ""
        if line:
            yield line
