"""The gateway in front of the models that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.base.errors import NotConfigured
from multi_agent.application.data_folder import make_data_folder
from multi_agent.bootstrap.models import model_settings
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from multi_agent.gateway.budgets.budgets import KeyBudgets
    from multi_agent.gateway.gateway import Gateway
    from multi_agent.gateway.records.log import RequestLog

# The server is an extra, which other commands do without.
# ruff: noqa: PLC0415


def request_log_path(settings: Settings) -> Path:
    """Where the request log of gateways with this data folder is."""
    return settings.data / "gateway" / "requests.db"


def make_budgets(settings: Settings, left: Callable[[str, str, float], None]) -> KeyBudgets | None:
    """What keeps keys within their limits; None where there are no keys. Raises NotConfigured.

    left: see KeyBudgets.
    """
    from multi_agent.gateway.budgets.budgets import KeyBudgets
    from multi_agent.gateway.keys import ledger_path, read_keys

    if settings.gateway_keys is None:
        return None
    budgets = KeyBudgets(ledger_path(settings.gateway_keys), left=left)
    try:
        if any(key.limits for key in read_keys(settings.gateway_keys).keys):
            budgets.check()
    except BaseException:
        budgets.close()
        raise
    return budgets


def make_request_log(settings: Settings, dropped: Callable[[int], None]) -> RequestLog | None:
    """The request log, opened; None where none is wanted. Raises NotConfigured.

    dropped: see RequestLog.
    """
    from multi_agent.gateway.records.log import LogRules, RequestLog

    if not settings.gateway_log_mb:
        return None
    make_data_folder(settings.data)
    rules = LogRules(settings.gateway_log_days, settings.gateway_log_mb, bodies=settings.gateway_log_bodies)
    return RequestLog(request_log_path(settings), rules, settings.redactor, dropped)


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
    from multi_agent.gateway.tries import TRIES, TryRules
    from multi_agent.models.services import make_endpoint, price_of
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
    providers = Providers(endpoints, partial(price_of, of_models))
    rules_of_all = GatewayRules(routes, service, speaks_responses=is_own)
    policy = replace(TRIES, max_attempts=settings.gateway_tries)
    return Gateway(rules_of_all, providers, keys, tries=TryRules(policy))
