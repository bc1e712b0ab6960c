"""The gateway in front of the models that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.base.errors import NotConfigured
from multi_agent.bootstrap.models import model_settings
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from multi_agent.gateway.gateway import Gateway

# The server is an extra, which other commands do without.
# ruff: noqa: PLC0415


def make_gateway(settings: Settings) -> Gateway:
    """The gateway, which holds the keys of services and no other credential. Raises NotConfigured."""
    try:
        from multi_agent.gateway.gateway import Gateway
        from multi_agent.gateway.providers import Providers
    except ImportError:
        raise NotConfigured(
            "the gateway needs a package that is not installed; install it with: "
            "pip install 'multi-agent[gateway]'"
        ) from None
    from multi_agent.gateway.keys import KeyFile
    from multi_agent.gateway.preparing import GatewayRules
    from multi_agent.gateway.routes import make_routes
    from multi_agent.models.services import make_endpoint
    from multi_agent.models.wire.canonical import WireService

    of_models = model_settings(settings)
    rules = (settings.gateway_map or "").split(",")
    tiers = {"big": settings.gateway_big, "middle": settings.gateway_middle, "small": settings.gateway_small}
    default = settings.model
    if settings.gemini_api_key and not any((*rules, *tiers.values())):
        default = settings.model_spec
    routes = make_routes(rules, tiers, default)
    endpoints = {kind: make_endpoint(of_models, kind, "*") for kind in routes.services}
    is_own = settings.openai_base_url is None
    limit_name = settings.max_output_tokens_name or ("max_completion_tokens" if is_own else "max_tokens")
    service = WireService(limit_name=limit_name)
    if settings.max_output_tokens:
        service = WireService(most_output=settings.max_output_tokens, limit_name=limit_name)
    keys = KeyFile(settings.gateway_keys) if settings.gateway_keys else None
    if keys:
        keys.check()
    return Gateway(GatewayRules(routes, service, speaks_responses=is_own), Providers(endpoints), keys)
