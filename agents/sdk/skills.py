"""Skills of a repository (https://agentskills.io): instructions for recurring work, read when needed.

The front matter of a file is YAML, of which a name and a description need texts alone. Those are read here;
anchors, tags and whatever else could be a trap are no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from contracts.base.text import bounded, flowing

FOLDERS: Final = (".agents/skills/", ".claude/skills/")
"""Of two skills with one name that of the first folder counts."""
FILE: Final = "SKILL.md"
MOST: Final = 100
"""Skills that are looked at."""
MAX_BYTES: Final = 100_000
"""Of one file."""
MAX_DESCRIPTION: Final = 1_024
MAX_LIST: Final = 8_000
"""Characters of all names and descriptions together: about 2,000 tokens."""

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_NAME: Final = 64
_FRONT: Final = re.compile(r"\ufeff?---[ \t]*\r?\n(.{0,8000}?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_KEY: Final = re.compile(r"(name|description)[ \t]*:(?:[ \t]+(.*))?$")
_BLOCK: Final = re.compile(r"[|>][+-]?[1-9]?[+-]?")
_NO_TEXT: Final = ("&", "*", "!", "[", "{", "@", "`", "%", "|", ">")
"""What a plain text cannot begin with: anchors, aliases, tags, lists and the like."""


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill as it is offered."""

    name: str
    description: str
    path: str


@dataclass(frozen=True, slots=True)
class Skills:
    """What a tree offers."""

    offered: tuple[Skill, ...] = ()
    left_out: tuple[str, ...] = ()
    """Why each of the others is not offered."""


def skill_paths(paths: Iterable[str]) -> list[str]:
    """Return the files of skills, those of the first folder first."""
    ordered = sorted(path for path in paths if path.startswith(FOLDERS))
    return [
        path
        for folder in FOLDERS
        for path in ordered
        if path.startswith(folder) and path.endswith(f"/{FILE}") and path.count("/") == folder.count("/") + 1
    ]


def find_skills(files: Mapping[str, bytes]) -> Skills:
    """Read what skills say of themselves. The same files give the same skills."""
    offered: dict[str, Skill] = {}
    left_out = []
    room = MAX_LIST
    paths = skill_paths(files)
    for path in paths[:MOST]:
        found = _read(path, files[path])
        if isinstance(found, Skill) and found.name in offered:
            found = f"its name {found.name!r} is that of {offered[found.name].path}"
        if isinstance(found, Skill) and (room := room - len(found.name) - len(found.description)) < 0:
            found = f"names and descriptions have more than {MAX_LIST:,} characters"
        if isinstance(found, Skill):
            offered[found.name] = found
        else:
            left_out.append(f"{path}: {found}")
    if len(paths) > MOST:
        left_out.append(f"{len(paths) - MOST} more: at most {MOST} are read")
    return Skills(tuple(offered.values()), tuple(left_out))


def skill_text(raw: bytes) -> str:
    """The instructions of a skill, without its front matter."""
    text = raw[:MAX_BYTES].decode("utf-8", "replace")
    front = _FRONT.match(text)
    return text[front.end() :].strip() if front else text.strip()


def _read(path: str, raw: bytes) -> Skill | str:
    """Read a skill; why it cannot be offered as a text."""
    if len(raw) > MAX_BYTES:
        return f"has {len(raw):,} bytes, the limit is {MAX_BYTES:,}"
    try:
        front = _FRONT.match(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return "is not UTF-8"
    if front is None:
        return "does not begin with `---`, a name, a description and `---`"
    said = dict(_texts(front[1].splitlines()))
    name, description = said.get("name", ""), flowing(said.get("description", ""))
    if len(name) > _MAX_NAME or _NAME.fullmatch(name) is None:
        return f"needs a name of at most {_MAX_NAME} small letters, digits and inner hyphens"
    if not description:
        return "needs a description, as text"
    return Skill(name, bounded(description, MAX_DESCRIPTION), path)


def _texts(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the two keys at the top level whose values are texts, each with the lines that belong to it."""
    for number, line in enumerate(lines):
        if (found := _KEY.match(line)) is None:
            continue
        first = (found[2] or "").strip()
        more = []
        for following in lines[number + 1 :]:
            if following.strip() and not following.startswith((" ", "\t")):
                break
            more.append(following.strip())
        text = _joined(first, more)
        if text is not None:
            yield found[1], text


def _joined(first: str, more: list[str]) -> str | None:
    """Put a text together from its first line and those below; None for what is none."""
    if _BLOCK.fullmatch(first):
        return "\n".join(more).strip()
    whole = " ".join([first, *more]).strip()
    if whole.startswith(('"', "'")):
        end = whole.rfind(whole[0])
        inner = whole[1:end] if end else None
        return inner.replace("''", "'") if inner and whole[0] == "'" else inner and _unescaped(inner)
    if whole.startswith(_NO_TEXT) or whole.startswith(("- ", "? ")):
        return None
    return whole.partition(" #")[0].strip()


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)
