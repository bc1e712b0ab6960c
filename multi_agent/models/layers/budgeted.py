"""Asks no more of a model than the execution may spend."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import ceil
from typing import Final

from contracts.base.errors import ModelRejected, ModelUnavailable, NotConfigured
from contracts.messages.budget import NOTHING, Amount
from contracts.ports.model import PURSE, ModelClient, ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash
from multi_agent.models.layers.wrapper import Wrapper
from multi_agent.models.prices import Price

_ENVELOPE: Final = 4_096
"""Tokens for what is put around a request, such as calls of tools in words."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that one try can cost."""

    price: Price
    max_output_tokens: int | None = None
    """What the user sets for every answer, None for what a request says."""

    def of(self, request: ModelRequest) -> Amount:
        """Every byte of the request as a token, and the longest answer."""
        sent = len(json.dumps(asdict(request), ensure_ascii=False).encode("utf-8", "surrogatepass"))
        read, written = sent + _ENVELOPE, self.max_output_tokens or request.max_output_tokens
        for_read, for_written = self.price.most
        cost = (read * for_read + written * for_written) / 1_000_000
        return Amount(micro_usd=ceil(cost * 1_000_000), tokens=read + written)


class Budgeted(Wrapper):
    """Sets the bound of each try aside before it, and settles it by what the service counts.

    What a service did not count costs all of it, but for requests that it did not take. Where the purse does
    not bear the bound nothing is sent: raises Suspended, and NotConfigured where it counts money and no price
    is known. Without a purse it asks as it is.
    """

    def __init__(self, inner: ModelClient, bound: Bound) -> None:
        super().__init__(inner)
        self._bound = bound

    async def complete(self, request: ModelRequest) -> ModelResponse:
        purse = PURSE.get()
        if purse is None:
            return await self._inner.complete(request)
        if purse.counts_money and not self._bound.price.is_known:
            raise NotConfigured(no_price(self.name))
        bound = self._bound.of(request)
        number = await purse.reserve(request_hash(request), bound)
        used = bound
        try:
            response = await self._inner.complete(request)
            used = response.amount or bound
        except (ModelRejected, NotConfigured):
            used = NOTHING
            raise
        except ModelUnavailable as error:
            used = NOTHING if error.unsent else bound
            raise
        finally:
            purse.settle(number, used)
        return response


def no_price(model: str) -> str:
    """Why what a model costs cannot be counted, and what to do."""
    return (
        f"what model {model} costs is not known, and a budget in dollars needs it; set "
        "MULTI_AGENT_INPUT_PRICE and MULTI_AGENT_OUTPUT_PRICE, or give a budget in tokens (--budget-tokens)"
    )
