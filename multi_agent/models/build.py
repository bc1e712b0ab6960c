"""Builds a model client, with its layers, from a specification such as "gemini:gemini-2.5-pro"."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from contracts.base.errors import NotConfigured
from contracts.base.redaction import Redactor
from contracts.ports.model import ModelClient
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.adapters.manual import ManualFiles, ManualTerminal
from multi_agent.models.layers.bounds import Bounded
from multi_agent.models.layers.cache import Cached
from multi_agent.models.layers.rate_limit import LocalWindow, RateLimited, RequestWindow
from multi_agent.models.layers.redacted import Redacted
from multi_agent.models.layers.retry import Retrying, RetryPolicy
from multi_agent.models.prices import Price
from multi_agent.models.recordings.recorder import Recorder
from multi_agent.models.recordings.recording import SHIPPED
from multi_agent.models.recordings.replay import Replay

MODEL_FORMS: Final = (
    "replay",
    "replay:DIR",
    "record:DIR:SPEC",
    "manual",
    "manual:DIR",
    "gemini:MODEL",
    "gemini-legacy:MODEL",
    "openai:MODEL",
)
"""The forms of a specification. DIR must not contain a colon."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model to use, and its limits."""

    spec: str = "replay"
    """One of MODEL_FORMS."""
    gemini_api_key: SecretStr | None = None
    openai_api_key: SecretStr | None = None
    gemini_base_url: str | None = None
    """None for Google's address."""
    openai_base_url: str | None = None
    """The address of any service with chat completions, None for OpenAI's."""
    timeout_seconds: float = 180.0
    """The limit of one attempt."""
    max_attempts: int = 5
    retry_seconds: float = 300.0
    """The limit of all attempts together: none starts later than this after the first."""
    requests_per_minute: int | None = None
    """None for no limit."""
    window: RequestWindow | None = None
    """What counts the requests of several clients together; None for a count of its own."""
    input_usd_per_million: float | None = None
    """US dollars per million input tokens, None if unknown."""
    output_usd_per_million: float | None = None
    """US dollars per million output tokens, None if unknown."""
    max_answer_bytes: int = 4_000_000
    replay_dirs: tuple[Path, ...] = ()
    """Folders of recordings for "replay", searched before the shipped recordings."""
    redact: Redactor = field(default_factory=Redactor)
    """Removes the secrets of this process from what comes back; it should know the keys above."""


@dataclass(frozen=True, slots=True)
class _Service:
    """Where to import an adapter from. Only the chosen one is imported: SDKs are optional and slow."""

    module: str
    adapter: str
    """The name of the class."""
    extra: str
    """The extra of this distribution that installs the SDK."""


_SERVICES: Final = {
    "gemini": _Service("multi_agent.models.adapters.gemini", "Gemini", "gemini"),
    "gemini-legacy": _Service("multi_agent.models.adapters.gemini_legacy", "GeminiLegacy", "gemini-legacy"),
    "openai": _Service("multi_agent.models.adapters.openai_compatible", "OpenAiCompatible", "openai"),
}


def build_model(settings: ModelSettings) -> ModelClient:
    """Build the client for `settings.spec`. It reads recordings and creates folders, but calls no service.

    Raises NotConfigured for an unknown specification, a missing key, a missing extra, a folder that cannot be
    used or a limit that is not positive.
    """
    kind, _, rest = settings.spec.strip().partition(":")
    if kind == "record":
        return _recorder(settings, rest)
    if kind in _SERVICES and rest:
        return _service(settings, kind, rest)
    if kind == "replay":
        folders = ((Path(rest),) if rest else ()) + settings.replay_dirs + (SHIPPED,)
        return _guarded(settings, Replay(folders))
    if kind == "manual":
        client: ModelClient = ManualFiles(Path(rest)) if rest else ManualTerminal()
        return Cached(_guarded(settings, client))
    raise _unknown(settings.spec)


def _unknown(spec: str) -> NotConfigured:
    return NotConfigured(f"unknown model {spec!r}; use one of: {', '.join(MODEL_FORMS)}")


def _recorder(settings: ModelSettings, rest: str) -> ModelClient:
    folder, _, inner = rest.partition(":")
    if not folder or not inner or inner.startswith("record"):
        raise _unknown(settings.spec)
    return Recorder(build_model(replace(settings, spec=inner)), Path(folder))


def _service(settings: ModelSettings, kind: str, model: str) -> ModelClient:
    _check_limits(settings)
    endpoint = _endpoint(settings, kind, model)
    client = _guarded(settings, _adapter(kind)(endpoint))
    policy = RetryPolicy(max_attempts=settings.max_attempts, total_seconds=settings.retry_seconds)
    client = Retrying(client, policy)
    if settings.requests_per_minute is not None:
        window = settings.window or LocalWindow(settings.requests_per_minute)
        client = RateLimited(client, window)
    return Cached(client)


def _guarded(settings: ModelSettings, adapter: ModelClient) -> ModelClient:
    """What every adapter gets, before anything keeps, repeats or records an answer."""
    return Redacted(Bounded(adapter, settings.max_answer_bytes), settings.redact)


def _check_limits(settings: ModelSettings) -> None:
    limits = {
        "timeout_seconds": settings.timeout_seconds,
        "max_attempts": settings.max_attempts,
        "max_answer_bytes": settings.max_answer_bytes,
        "requests_per_minute": settings.requests_per_minute,
    }
    for name, value in limits.items():
        if value is not None and value <= 0:
            raise NotConfigured(f"model {name} is {value}; it must be more than 0")


def _endpoint(settings: ModelSettings, kind: str, model: str) -> Endpoint:
    is_openai = kind == "openai"
    key_name, key = (
        ("OPENAI_API_KEY", settings.openai_api_key)
        if is_openai
        else ("GEMINI_API_KEY", settings.gemini_api_key)
    )
    base_url = settings.openai_base_url if is_openai else settings.gemini_base_url
    if not (key and key.get_secret_value()) and not (is_openai and base_url):
        local = ", or OPENAI_BASE_URL to a server that needs none" if is_openai else ""
        raise NotConfigured(f"model {kind}:{model} needs an API key: set {key_name}{local}")
    return Endpoint(
        service=kind,
        model=model,
        api_key=key,
        base_url=base_url,
        timeout_seconds=settings.timeout_seconds,
        max_answer_bytes=settings.max_answer_bytes,
        redact=settings.redact,
        price=Price(settings.input_usd_per_million, settings.output_usd_per_million),
    )


def _adapter(kind: str) -> Callable[[Endpoint], ModelClient]:
    service = _SERVICES[kind]
    try:
        module = importlib.import_module(service.module)
    except ImportError:
        raise NotConfigured(
            f"model {kind} needs a package that is not installed; install it with: "
            f"pip install 'multi-agent[{service.extra}]'"
        ) from None
    adapter: Callable[[Endpoint], ModelClient] = getattr(module, service.adapter)
    return adapter
