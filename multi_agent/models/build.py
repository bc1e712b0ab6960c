"""Builds a model client, with its layers, from a specification such as "gemini:gemini-2.5-pro"."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from contracts.base.errors import NotConfigured
from contracts.ports.model import ModelClient
from multi_agent.models.adapters.manual import ManualFiles, ManualTerminal
from multi_agent.models.layers.bounds import Bounded
from multi_agent.models.layers.budgeted import Bound, Budgeted, no_price
from multi_agent.models.layers.cache import Cached
from multi_agent.models.layers.rate_limit import LocalWindow, RateLimited
from multi_agent.models.layers.redacted import Redacted
from multi_agent.models.layers.retry import Retrying, RetryPolicy
from multi_agent.models.recordings.recorder import Recorder
from multi_agent.models.recordings.recording import SHIPPED
from multi_agent.models.recordings.replay import Replay
from multi_agent.models.services import SERVICES, make_adapter
from multi_agent.models.specification import ModelSettings, unknown_model

_CHECK_SECONDS: Final = 5.0


def build_model(settings: ModelSettings) -> ModelClient:
    """Build the client for `settings.spec`. It reads recordings and creates folders, but calls no service.

    Raises NotConfigured for an unknown specification, a missing or impossible key, a missing extra, an
    address or a proxy that is none, a folder that cannot be used or a limit that is not positive.
    """
    kind, _, rest = settings.spec.strip().partition(":")
    if kind == "record":
        return _recorder(settings, rest)
    if kind in SERVICES and rest:
        return _service(settings, kind, rest)
    if kind == "replay":
        folders = ((Path(rest),) if rest else ()) + settings.replay_dirs + (SHIPPED,)
        return _guarded(settings, Replay(folders))
    if kind == "manual":
        client: ModelClient = ManualFiles(Path(rest)) if rest else ManualTerminal()
        return Cached(_guarded(settings, client))
    raise unknown_model(settings.spec)


async def check_service(settings: ModelSettings) -> None:
    """Ask the service of the model, if it has one, whether it is there and knows key and model.

    Raises NotConfigured as `build_model` does and for what the service does not know, ModelUnavailable when
    the service cannot be reached now.
    """
    await build_model(settings).close()
    kind, _, model = _asked_service(settings).partition(":")
    if kind not in SERVICES:
        return
    brief = replace(settings, timeout_seconds=min(settings.timeout_seconds, _CHECK_SECONDS))
    client = make_adapter(brief, kind, model)
    try:
        await client.check()
    finally:
        await client.close()


def check_price(settings: ModelSettings) -> None:
    """Check that what the model costs is known; one without a service costs nothing. Raises NotConfigured."""
    spec = _asked_service(settings)
    if spec.partition(":")[0] in SERVICES and not settings.price.is_known:
        raise NotConfigured(no_price(spec))


def _asked_service(settings: ModelSettings) -> str:
    """The specification, without that of a recording around it."""
    spec = settings.spec.strip()
    return spec.split(":", 2)[2] if spec.startswith("record:") else spec


def _recorder(settings: ModelSettings, rest: str) -> ModelClient:
    folder, _, inner = rest.partition(":")
    if not folder or not inner or inner.startswith("record"):
        raise unknown_model(settings.spec)
    return Recorder(build_model(replace(settings, spec=inner)), Path(folder))


def _service(settings: ModelSettings, kind: str, model: str) -> ModelClient:
    client = _guarded(settings, make_adapter(settings, kind, model))
    client = Budgeted(client, Bound(settings.price, settings.told.max_output_tokens))
    policy = RetryPolicy(max_attempts=settings.max_attempts, total_seconds=settings.retry_seconds)
    client = Retrying(client, policy)
    if settings.requests_per_minute is not None:
        window = settings.window or LocalWindow(settings.requests_per_minute)
        client = RateLimited(client, window)
    return Cached(client)


def _guarded(settings: ModelSettings, adapter: ModelClient) -> ModelClient:
    """What every adapter gets, before anything keeps, repeats or records an answer."""
    return Redacted(Bounded(adapter, settings.max_answer_bytes), settings.redact)
