"""What answers cost: prices that a user sets, or those of the services' lists on a day."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_LISTED: Final = Path(__file__).with_name("prices.toml")
_LONG: Final = 200_000
"""Input tokens above which a request has a price of its own, where a service has one."""
_DATED: Final = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2})$")


@dataclass(frozen=True, slots=True)
class Price:
    """The prices of a model. An unknown price counts as 0.0."""

    input_usd: float | None = None
    """US dollars per million input tokens, None if unknown."""
    output_usd: float | None = None
    """US dollars per million output tokens, None if unknown."""
    cached_usd: float | None = None
    """US dollars per million input tokens that the service had cached; None for the same as the others."""
    long_input_usd: float | None = None
    """Of requests above 200,000 input tokens; None for the same as of others."""
    long_output_usd: float | None = None
    as_of: str = ""
    """The day of the list that it is from, "" where the user says it."""

    @property
    def is_known(self) -> bool:
        """Whether costs are, both ways."""
        return self.input_usd is not None and self.output_usd is not None

    def __str__(self) -> str:
        if not self.is_known:
            return "price unknown"
        listed = f", listed {self.as_of}" if self.as_of else ""
        return f"${self.input_usd:g} in, ${self.output_usd:g} out per million tokens{listed}"

    @property
    def most(self) -> tuple[float, float]:
        """US dollars per million input and output tokens at most."""
        read = max(self.input_usd or 0.0, self.cached_usd or 0.0, self.long_input_usd or 0.0)
        return read, max(self.output_usd or 0.0, self.long_output_usd or 0.0)

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """Return the cost of one answer in US dollars; the cached tokens are a part of the input."""
        full, made = self.input_usd or 0.0, self.output_usd or 0.0
        cached = full if self.cached_usd is None else self.cached_usd
        if input_tokens > _LONG and self.long_input_usd is not None and full:
            cached *= self.long_input_usd / full
            full, made = self.long_input_usd, self.long_output_usd or made
        fresh = input_tokens - cached_tokens
        return (fresh * full + cached_tokens * cached + output_tokens * made) / 1_000_000


def listed_price(service: str, model: str) -> Price:
    """The price of a model at the service's own address; of one that is not listed nothing is known."""
    as_of, prices = _lists()
    names = prices.get(service.partition("-")[0], {})
    name = model.removeprefix("models/")
    found = names.get(name) or names.get(_DATED.sub("", name))
    return Price(**{f"{kind}_usd": usd for kind, usd in found.items()}, as_of=as_of) if found else Price()


@cache
def _lists() -> tuple[str, dict[str, Any]]:
    """The day, and by service and model its prices."""
    content = tomllib.loads(_LISTED.read_text("utf-8"))
    return str(content.pop("as_of")), content
