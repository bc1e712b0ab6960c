"""Reads settings of a repository in the forms that they are written in."""

from __future__ import annotations

import tomllib
from typing import Any

from contracts.base.errors import InvalidInput


def text_of(content: bytes) -> str:
    """The text of a file; what is not UTF-8 of it is replaced."""
    return content.decode("utf-8-sig", "replace")


def read_toml(path: str, content: bytes) -> dict[str, Any]:
    """Read a file of the repository. Raises InvalidInput that names it."""
    try:
        return tomllib.loads(text_of(content))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path} of the repository cannot be read: {error}") from None
