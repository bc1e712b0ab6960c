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

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return the cost of one answer in US dollars."""
        return (input_tokens * (self.input_usd or 0.0) + output_tokens * (self.output_usd or 0.0)) / 1_000_000
