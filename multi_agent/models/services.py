"""The services that models are asked at, and the checks of what a user set for them. Nothing is sent."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from contracts.base.errors import NotConfigured
from contracts.ports.model import ModelClient
from multi_agent.models.adapters.adapting import Knowledge
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.prices import Price, listed_price
from multi_agent.models.specification import ModelSettings

_PROXY_SCHEMES: Final = frozenset({"http", "https"})
_SOCKS_SCHEMES: Final = frozenset({"socks5", "socks5h"})
_NO_URL: Final = frozenset("\"'<>\\ ")


class ServiceClient(ModelClient, Protocol):
    """The client of a model at a service."""

    async def check(self) -> None:
        """Raise NotConfigured when the service does not know key or model, ModelUnavailable when away."""


@dataclass(frozen=True, slots=True)
class _Service:
    """Where to import an adapter from. Only the chosen one is imported: SDKs are optional and slow."""

    module: str
    adapter: str
    """The name of the class."""
    extra: str
    """The extra of this distribution that installs the SDK."""
    key_setting: str
    url_setting: str
    address: str
    """The service's own."""
    endings: tuple[str, ...]
    """Of addresses that the SDK adds by itself."""
    socks: str
    """What the SDK needs for SOCKS proxies: a module, and the package that has it."""
    socks_package: str


_GEMINI: Final = (
    "GEMINI_API_KEY",
    "MULTI_AGENT_GEMINI_BASE_URL",
    "https://generativelanguage.googleapis.com",
    (),
)
_OPENAI: Final = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "https://api.openai.com/v1",
    ("/chat/completions", "/responses"),
)
_ANTHROPIC: Final = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "https://api.anthropic.com",
    ("/v1/messages", "/v1"),
)
_HTTPX: Final = ("socksio", "socksio")
_REQUESTS: Final = ("socks", "pysocks")
_PLACE: Final = "multi_agent.models.adapters"
_OPENAI_SDK: Final = f"{_PLACE}.openai_sdk"
SERVICES: Final = {
    "gemini": _Service(f"{_PLACE}.gemini", "Gemini", "gemini", *_GEMINI, *_HTTPX),
    "gemini-legacy": _Service(
        f"{_PLACE}.gemini_legacy", "GeminiLegacy", "gemini-legacy", *_GEMINI, *_REQUESTS
    ),
    "openai": _Service(f"{_OPENAI_SDK}.openai_compatible", "OpenAiCompatible", "openai", *_OPENAI, *_HTTPX),
    "openai-responses": _Service(
        f"{_OPENAI_SDK}.openai_responses", "OpenAiResponses", "openai", *_OPENAI, *_HTTPX
    ),
    "anthropic": _Service(
        f"{_PLACE}.anthropic_service", "AnthropicService", "anthropic", *_ANTHROPIC, *_HTTPX
    ),
}
_LOCAL: Final = "http://127.0.0.1:11434"
_SPOKEN: Final = frozenset({"openai", "openai-responses", "anthropic"})
"""Whose protocol other servers speak, some without a key."""


def make_adapter(settings: ModelSettings, kind: str, model: str) -> ServiceClient:
    """Make the client, without any layer. Raises NotConfigured for what cannot work as it is set."""
    endpoint = make_endpoint(settings, kind, model)
    _check_proxies(settings.proxies, SERVICES[kind])
    return _adapter(kind)(endpoint, Knowledge(settings.told, settings.memory))


def make_endpoint(settings: ModelSettings, kind: str, model: str) -> Endpoint:
    """Where a model is asked, and with which key. Raises NotConfigured for what cannot work as it is set."""
    _check_limits(settings)
    return _endpoint(settings, kind, model)


def _check_limits(settings: ModelSettings) -> None:
    limits = {
        "timeout_seconds": settings.timeout_seconds,
        "max_attempts": settings.max_attempts,
        "max_answer_bytes": settings.max_answer_bytes,
        "requests_per_minute": settings.requests_per_minute,
        "tokens_per_minute": settings.tokens_per_minute,
        "max_output_tokens": settings.told.max_output_tokens,
    }
    for name, value in limits.items():
        if value is not None and value <= 0:
            raise NotConfigured(f"model {name} is {value}; it must be more than 0")


def _endpoint(settings: ModelSettings, kind: str, model: str) -> Endpoint:
    service, is_spoken = SERVICES[kind], kind in _SPOKEN
    key, base_url = _access(settings, kind)
    if not (key and key.get_secret_value()) and not (is_spoken and base_url):
        local = f", or {service.url_setting} to a server that needs none" if is_spoken else ""
        raise NotConfigured(f"model {kind}:{model} needs an API key: set {service.key_setting}{local}")
    if key:
        _check_key(service.key_setting, key.get_secret_value())
    if base_url:
        _check_url(service, base_url)
    return Endpoint(
        service=kind,
        model=model,
        api_key=key,
        base_url=base_url,
        url_setting=service.url_setting,
        proxy=_proxy(settings.proxies, base_url or service.address),
        timeout_seconds=settings.timeout_seconds,
        max_answer_bytes=settings.max_answer_bytes,
        redact=settings.redact,
        price=price_of(settings, kind, model),
    )


def price_of(settings: ModelSettings, kind: str, model: str) -> Price:
    """What the user says that a model costs, else what its service lists, where it is asked itself."""
    said = Price(
        settings.input_usd_per_million, settings.output_usd_per_million, settings.cached_usd_per_million
    )
    if said != Price() or _access(settings, kind)[1]:
        return said
    return listed_price(kind, model)


def _access(settings: ModelSettings, kind: str) -> tuple[SecretStr | None, str | None]:
    """The key and the address that are set for a service."""
    match kind:
        case "openai" | "openai-responses":
            return settings.openai_api_key, settings.openai_base_url
        case "anthropic":
            return settings.anthropic_api_key, settings.anthropic_base_url
        case _:
            return settings.gemini_api_key, settings.gemini_base_url


def _check_key(setting: str, key: str) -> None:
    if key.isascii() and key.isprintable() and " " not in key:
        return
    wrong = "a line end" if key.endswith(("\n", "\r")) else "a space or another character that no key has"
    raise NotConfigured(f"{setting} holds {wrong}; set it again without it")


def _check_url(service: _Service, url: str) -> None:
    shown = url.rpartition("@")[2][:200]  # not the user and password before it
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or not url.isprintable() or _NO_URL & set(url):
        raise NotConfigured(
            f"{service.url_setting} is {shown!r}, which is no address; it must begin with http:// or "
            f"https:// and have no quotes or spaces, such as {_LOCAL}{urlsplit(service.address).path}"
        )
    for ending in service.endings:
        if parts.path.rstrip("/").endswith(ending):
            raise NotConfigured(f"{service.url_setting} is {shown!r}; leave out {ending} at its end")


def _proxy(proxies: Mapping[str, str], url: str) -> str | None:
    """The proxy through which SDKs reach an address."""
    parts = urlsplit(url)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    name, direct = parts.hostname or "", [host.strip() for host in proxies.get("no", "").split(",")]
    if not proxy or "*" in direct or any(host and name.endswith(host.lstrip("*.")) for host in direct):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _check_proxies(proxies: Mapping[str, str], service: _Service) -> None:
    """Refuse what an SDK would stumble over: it prepares for all proxies, also those that it will not use."""
    for kind in ("http", "https", "all"):
        scheme, separator, _ = proxies.get(kind, "").partition("://")
        if not separator or scheme in _PROXY_SCHEMES:
            continue
        setting = f"{kind.upper()}_PROXY"
        if scheme not in _SOCKS_SCHEMES:
            usable = ", ".join(sorted(_PROXY_SCHEMES | _SOCKS_SCHEMES))
            raise NotConfigured(
                f"{setting} begins with {scheme[:40]!r}; use one of {usable}, or unset {setting}"
            )
        if importlib.util.find_spec(service.socks) is None:
            raise NotConfigured(
                f"{setting} names a SOCKS proxy, which needs a package that is not installed; "
                f"install it with: pip install {service.socks_package}, or unset {setting}"
            )


def _adapter(kind: str) -> Callable[[Endpoint, Knowledge], ServiceClient]:
    service = SERVICES[kind]
    try:
        module = importlib.import_module(service.module)
    except ImportError:
        raise NotConfigured(
            f"model {kind} needs a package that is not installed; install it with: "
            f"pip install 'multi-agent[{service.extra}]'"
        ) from None
    adapter: Callable[[Endpoint, Knowledge], ServiceClient] = getattr(module, service.adapter)
    return adapter
