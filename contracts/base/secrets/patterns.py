"""Removes from text what looks like a secret, whoever it belongs to. For logs and errors, never for work."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import unquote

from contracts.base.secrets.redaction import MARK

_STYLE: Final = r"(?:\x1b\[\d+m)*"
"""What a terminal is told between a name and its value."""
_START: Final = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt])|(?<=\[\dm)|(?<=\[\d\dm))"
"""Where a word begins, also behind an escape."""
_TOKEN: Final = re.compile(
    r"sk-(?:ant|proj|or)-[\w-]{16,}"
    rf"|{_START}sk-[A-Za-z0-9]{{20,}}"
    r"|AIza[\w-]{30,}"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL | re.ASCII,
)
_TOKEN_HINT: Final = re.compile(
    r"sk-|AIza|gh[pousr]_|github_pat_|glpat-|A[KS]IA|xox|hf_|npm_|pypi-|eyJ|PRIVATE KEY"
)
_NAME_HINTS: Final = ("key", "passw", "secret", "token", "bearer", "basic")
"""What is in every line that has such: looked for first, as most lines have none."""
_NAMED: Final = re.compile(
    r"((?:api[_-]?key|access[_-]?key|passw(?:or)?d|secret|token)"
    rf"{_STYLE}\\?[\"']?\s*(?:[=:]|%3[AaDd]){_STYLE}\s*\\?[\"']?|\b(?:bearer|authorization: basic)\s+)"
    r"(?!\[secret\])([^\s\"',;&}\\\x1b]{8,})",
    re.IGNORECASE | re.ASCII,
)
# What stands for a password in a message to people is none.
_OF_URL: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@\"']*:)(?!(?:\[secret\]|PASSWORD)@)[^\s/@\"']+(?=@)"
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}", re.ASCII)
_PERCENT: Final = re.compile(r"[\w.~%+-]{24,}", re.ASCII)
_URL_SAFE: Final = str.maketrans("-_", "+/")


def without_secret_patterns(text: str) -> str:
    """The text without tokens of known services, private keys, passwords in URLs, values named as secrets.

    Tokens are also found in base64, wherever they stand in what was encoded, and percent-encoded.
    """
    if _TOKEN_HINT.search(text):
        text = _TOKEN.sub(MARK, text)
    lower = text.lower()
    if any(hint in lower for hint in _NAME_HINTS):
        text = _NAMED.sub(rf"\1{MARK}", text)
    if "://" in text:
        text = _OF_URL.sub(rf"\1{MARK}", text)
    if "%" in text:
        text = _PERCENT.sub(_percent_encoded, text)
    return _BASE64.sub(_base64_encoded, text)


def _percent_encoded(found: re.Match[str]) -> str:
    run = found.group()
    escaped = run[run.find("%") :]  # before it may be a part of what styles a terminal
    return MARK if "%" in run and any(_TOKEN.search(unquote(one)) for one in (run, escaped)) else run


def _base64_encoded(found: re.Match[str]) -> str:
    run = found.group().rstrip("=").translate(_URL_SAFE)
    if run.islower():
        return found.group()  # an id, or a digest
    for start in range(4):
        part = run[start:]
        part = part[:-1] if len(part) % 4 == 1 else part + "=" * (-len(part) % 4)
        decoded = base64.b64decode(part).decode("latin-1")
        if _TOKEN_HINT.search(decoded) and _TOKEN.search(decoded):
            return MARK
    return found.group()
