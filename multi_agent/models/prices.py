"""The cost of an answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """The prices of a model, from the settings. An unknown price counts as 0.0."""

    input_usd: float | None = None
    """US dollars per million input tokens, None if unknown."""
    output_usd: float | None = None
    """US dollars per million output tokens, None if unknown."""

    cached_usd: float | None = None
    """US dollars per million input tokens that the service had cached; None for the same as the others."""

    @property
    def is_known(self) -> bool:
        """Whether every token has a price; it may be 0."""
        return self.input_usd is not None and self.output_usd is not None

    @property
    def dearest_input(self) -> float:
        """US dollars per million input tokens at most."""
        return max(self.input_usd or 0.0, self.cached_usd or 0.0)

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """Return the cost of one answer in US dollars; the cached tokens are a part of the input."""
        full = self.input_usd or 0.0
        cached = full if self.cached_usd is None else self.cached_usd
        fresh = input_tokens - cached_tokens
        return (fresh * full + cached_tokens * cached + output_tokens * (self.output_usd or 0.0)) / 1_000_000
