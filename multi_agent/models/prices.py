"""What an answer costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, from the settings; None where unknown, which costs 0.0."""

    input_usd: float | None = None
    output_usd: float | None = None

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """US dollars for one answer."""
        return (input_tokens * (self.input_usd or 0.0) + output_tokens * (self.output_usd or 0.0)) / 1_000_000
