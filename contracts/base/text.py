"""Text from outside: as every store takes it, and as people may see it.

Text that came from a model, a file, a message or a caller goes to people through `visible`, `visible_line` or
`json_text` alone; `contracts.base.printing` does so for everything that is printed.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Final

_MAX_CHARACTERS: Final = 10_000

_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
# The rest of the property Default_Ignorable_Code_Point of Unicode, which unicodedata does not have: fillers,
# joiners, variation selectors, tags, and code points kept for more of them.
_IGNORABLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
_NOT_PLAIN: Final = re.compile(r"[^ -~]")
_NOT_PLAIN_IN_BLOCK: Final = re.compile(r"[^ -~\n\t]")
_FENCE: Final = re.compile(r"`{3,}")


def shortened(text: str, limit: int) -> str:
    """A model's own answer as it is sent back to it: of one beyond `limit`, the beginning and the end."""
    half = limit // 2
    if len(text) <= 2 * half:
        return text
    return f"{text[:half]}\n[{len(text) - 2 * half} characters cut here]\n{text[-half:]}"


def bounded(text: str, limit: int = _MAX_CHARACTERS) -> str:
    """At most `limit` characters that every store takes: PostgreSQL has no NUL, UTF-8 no lone surrogates."""
    return text[:limit].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def encodable(text: str) -> str:
    """The same text; for a lone surrogate, which UTF-8 cannot hold, a replacement character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def fenced(text: str, language: str = "") -> str:
    """Put the text into a code fence that is longer than any fence in the text."""
    longest = max((len(run) for run in _FENCE.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def is_invisible(char: str) -> bool:
    """Whether a character has no shape of its own: controls, bidirectional marks, joiners, fillers, tags."""
    return unicodedata.category(char) in _INVISIBLE_CATEGORIES or _IGNORABLE.match(char) is not None


def first_invisible(text: str) -> str | None:
    """The first invisible character, as `U+200B`; None without one."""
    found = next((char for char in text if is_invisible(char)), None)
    return None if found is None else f"U+{ord(found):04X}"


def visible(text: str) -> str:
    r"""Show what has no shape as an escape such as `\x1b` or `\u202e`; line ends and tabs stay.

    Nothing in the result moves a cursor, changes a colour or the order of what is read.
    """
    return _NOT_PLAIN_IN_BLOCK.sub(_shown, text)


def visible_line(text: str) -> str:
    r"""Show text on one line: as `visible`, with `\n` and `\t` as escapes too."""
    return _NOT_PLAIN.sub(_shown, text)


def flowing(text: str) -> str:
    """Show text of several lines on one: as `visible`, with one space for line ends and other white space."""
    return " ".join(visible(text).split())


def json_text(value: Any, *, indent: int | None = None) -> str:
    r"""Write one JSON document in which what has no shape is a `\u` escape, so that its value stays the same.

    What JSON has no form for is written as its `str`.
    """
    text = json.dumps(value, indent=indent, default=str, ensure_ascii=False)
    return _NOT_PLAIN_IN_BLOCK.sub(_shown_in_json, text)


def _shown(found: re.Match[str]) -> str:
    char = found[0]
    return char.encode("unicode_escape").decode() if _hidden(char) else char


def _shown_in_json(found: re.Match[str]) -> str:
    char = found[0]
    return json.dumps(char)[1:-1] if _hidden(char) else char


def _hidden(char: str) -> bool:
    # What is not assigned may get any meaning, so a terminal may know more of it than this Python does.
    return is_invisible(char) or unicodedata.category(char) == "Cn"
