"""Builds a model client, with its layers, from a specification such as "gemini:gemini-2.5-pro"."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from contracts.base.errors import ModelUnavailable, MultiAgentError, NotConfigured
from contracts.ports.model import ModelClient
from multi_agent.models.adapters.manual import ManualFiles, ManualTerminal
from multi_agent.models.layers.bounds import Bounded
from multi_agent.models.layers.budgeted import Bound, Budgeted, no_price
from multi_agent.models.layers.cache import Cached
from multi_agent.models.layers.fallback import Fallback
from multi_agent.models.layers.measured import Measured
from multi_agent.models.layers.rate_limit import LocalWindow, RateLimited
from multi_agent.models.layers.redacted import Redacted
from multi_agent.models.layers.retry import Retrying, RetryPolicy
from multi_agent.models.layers.stored_cache import StoredCache
from multi_agent.models.prices import Price
from multi_agent.models.recordings.recorder import Recorder
from multi_agent.models.recordings.recording import SHIPPED
from multi_agent.models.recordings.replay import Replay
from multi_agent.models.services import SERVICES, make_adapter, price_of
from multi_agent.models.specification import ModelSettings, unknown_model

_CHECK_SECONDS: Final = 5.0
_LISTED_ATTEMPTS: Final = 2
_LISTED_SECONDS: Final = 5.0
"""How long a model of a list is tried before the next one is asked."""


def build_model(settings: ModelSettings) -> ModelClient:
    """Build the client for `settings.spec`. It reads recordings and creates folders, but calls no service.

    Raises NotConfigured for an unknown specification, a missing or impossible key, a missing extra, an
    address or a proxy that is none, a folder that cannot be used or a limit that is not positive.
    """
    kind, _, rest = settings.spec.strip().partition(":")
    if kind == "record":
        return _recorder(settings, rest)
    if kind in SERVICES and rest:
        return Cached(_services(settings, listed(settings.spec)))
    if kind == "replay":
        folders = ((Path(rest),) if rest else ()) + settings.replay_dirs + (SHIPPED,)
        return _guarded(settings, Replay(folders))
    if kind == "manual":
        client: ModelClient = ManualFiles(Path(rest)) if rest else ManualTerminal()
        return Cached(_guarded(settings, client))
    raise unknown_model(settings.spec)


async def check_service(settings: ModelSettings) -> tuple[str, ...]:
    """Ask the services of the model, if it has any, whether they are there and know key and model.

    What is wrong with some models of a list, as long as another can be asked, is returned. Raises
    NotConfigured as `build_model` does, and where no model can be asked what is wrong with the first:
    NotConfigured for what its service does not know, ModelUnavailable when that cannot be reached now.
    """
    await build_model(settings).close()
    models = service_models(settings.spec)
    checked = await asyncio.gather(*(_wrong_with(settings, one) for one in models))
    found = [error for error in checked if error]
    if found and len(found) == len(models):
        raise found[0]
    return tuple(map(str, found))


async def _wrong_with(settings: ModelSettings, model: str) -> MultiAgentError | None:
    brief = replace(settings, timeout_seconds=min(settings.timeout_seconds, _CHECK_SECONDS))
    client = make_adapter(brief, *_kind_and_name(model))
    try:
        await client.check()
    except (NotConfigured, ModelUnavailable) as error:
        return error
    finally:
        await client.close()
    return None


def service_models(spec: str) -> tuple[str, ...]:
    """The models of services that are asked, in their order, each as SERVICE:MODEL. Raises as `listed`."""
    spec = spec.strip()
    if spec.startswith("record:"):
        spec = spec.split(":", 2)[-1]
    return listed(spec) if spec.partition(":")[0] in SERVICES else ()


def listed(spec: str) -> tuple[str, ...]:
    """The models of a list `a,b`, in their order. Raises NotConfigured for what is no model of a service."""
    models = tuple(part.strip() for part in spec.split(","))
    for number, model in enumerate(models):
        kind, name = _kind_and_name(model)
        if kind not in SERVICES or not name:
            raise NotConfigured(
                f"model {model!r} in the list {spec!r} is no SERVICE:MODEL; a service is one of "
                f"{', '.join(SERVICES)}"
            )
        if model in models[:number]:
            raise NotConfigured(f"model {model!r} stands twice in the list {spec!r}; leave one out")
    return models


def _kind_and_name(model: str) -> tuple[str, str]:
    kind, _, name = model.partition(":")
    return kind, name


def check_price(settings: ModelSettings) -> None:
    """Check that what every model costs that may be asked is known; one without a service costs nothing.

    Raises NotConfigured.
    """
    for model, price in model_prices(settings).items():
        if not price.is_known:
            raise NotConfigured(no_price(model))


def _recorder(settings: ModelSettings, rest: str) -> ModelClient:
    folder, _, inner = rest.partition(":")
    if not folder or not inner or inner.startswith("record"):
        raise unknown_model(settings.spec)
    return Recorder(build_model(replace(settings, spec=inner)), Path(folder))


def price_lines(settings: ModelSettings) -> tuple[str, ...]:
    """What each model of a service costs, a line each. Raises as `service_models`."""
    return tuple(f"{model}: {price}" for model, price in model_prices(settings).items())


def model_prices(settings: ModelSettings) -> dict[str, Price]:
    """What each model of a service costs, by its name. Raises as `service_models`."""
    return {model: price_of(settings, *_kind_and_name(model)) for model in service_models(settings.spec)}


def unpriced(settings: ModelSettings) -> tuple[str, ...]:
    """The models of a list whose cost is left out where that of others is counted. Raises likewise."""
    prices = model_prices(settings)
    unknown = [model for model, price in prices.items() if price == Price()]
    return tuple(unknown) if len(unknown) < len(prices) else ()


def _services(settings: ModelSettings, models: Sequence[str]) -> ModelClient:
    policy = RetryPolicy(max_attempts=settings.max_attempts, total_seconds=settings.retry_seconds)
    if len(models) == 1:
        return _service(settings, models[0], policy)
    attempts = min(policy.max_attempts, _LISTED_ATTEMPTS)
    brief = replace(policy, max_attempts=attempts, total_seconds=_LISTED_SECONDS)
    return Retrying(Fallback([_service(settings, model, brief) for model in models]), policy)


def _service(settings: ModelSettings, model: str, policy: RetryPolicy) -> ModelClient:
    client = _guarded(settings, make_adapter(settings, *_kind_and_name(model)))
    if settings.rates is not None:
        window = settings.windows.get(model) or LocalWindow(settings.rates)
        client = RateLimited(client, window, most_output=settings.told.max_output_tokens)
    price = price_of(settings, *_kind_and_name(model))
    client = Budgeted(client, Bound(price, settings.told.max_output_tokens))
    client = Retrying(client, policy)
    if settings.cache is not None:
        client = StoredCache(client, settings.cache, settings.identity(model))
    return client


def _guarded(settings: ModelSettings, adapter: ModelClient) -> ModelClient:
    """What every adapter gets, before anything keeps, repeats or records an answer."""
    client = Redacted(Bounded(adapter, settings.max_answer_bytes), settings.redact)
    return client if settings.seen is None else Measured(client, settings.seen)
