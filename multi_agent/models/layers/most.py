"""The most that one try can take, which limits and budgets set aside before it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final, NamedTuple

from contracts.ports.model import ModelRequest

_ENVELOPE: Final = 4_096
"""Tokens for what is put around a request, such as calls of tools in words."""


class MostTokens(NamedTuple):
    """An upper bound of the tokens of a try."""

    read: int
    written: int

    @property
    def all(self) -> int:
        return self.read + self.written


def most_tokens(request: ModelRequest, most_output: int | None = None) -> MostTokens:
    """Every byte of the request as a token, of which each has a byte or more, and the longest answer.

    most_output: the limit of output tokens where it is not the request's own.
    """
    sent = len(json.dumps(asdict(request), ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return MostTokens(sent + _ENVELOPE, most_output or request.max_output_tokens)
