"""Asks no more of a model than the execution may spend."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from contracts.base.errors import ModelRejected, ModelUnavailable, NotConfigured
from contracts.messages.budget import NOTHING, Amount
from contracts.ports.model import PURSE, ModelClient, ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash
from multi_agent.models.layers.most import most_tokens
from multi_agent.models.layers.wrapper import Wrapper
from multi_agent.models.prices import Price


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that one try can cost."""

    price: Price
    max_output_tokens: int | None = None
    """What the user sets for every answer, None for what a request says."""

    def of(self, request: ModelRequest) -> Amount:
        """Its tokens at most, each at the highest price that it can have."""
        most, (for_read, for_written) = most_tokens(request, self.max_output_tokens), self.price.most
        # A millionth of a dollar is the price of one token at a dollar for a million.
        return Amount(micro_usd=ceil(most.read * for_read + most.written * for_written), tokens=most.all)


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
