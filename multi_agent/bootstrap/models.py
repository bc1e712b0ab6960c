"""The model, and the planner that asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from contracts.base.errors import NotConfigured
from contracts.ports.model import ModelClient
from multi_agent.bootstrap.services import find_agents
from multi_agent.settings import Settings, load_settings

if TYPE_CHECKING:
    from contracts.messages.payloads import Usage
    from contracts.ports.rates import Rates, RateWindow
    from multi_agent.models import Asked, ModelSettings
    from multi_agent.models.layers.measured import CallSeen
    from multi_agent.models.layers.stored_cache import CacheRules
    from multi_agent.models.prices import Price
    from planner_service.planning import Planner

# Each part is imported where it is built: the command line must not load a database to print its help.
# ruff: noqa: PLC0415


def make_windows(settings: Settings) -> dict[str, RateWindow]:
    """What counts the use of each model, also of processes forked from this one; {} without limits."""
    from multi_agent.models.layers.shared_window import SharedWindow

    return {model: SharedWindow(rates) for model, rates in _limited(settings).items()}


def make_model(
    settings: Settings, windows: Mapping[str, RateWindow] | None = None, seen: CallSeen | None = None
) -> ModelClient:
    """The model client that the settings name. Raises NotConfigured.

    windows: what counts its use together with that of other processes of this machine.
    seen: hears of each question to it.
    """
    from multi_agent.models import build_model

    counting = _with_team(settings, windows or {})
    return build_model(replace(model_settings(settings), windows=counting, seen=seen))


def _with_team(settings: Settings, windows: Mapping[str, RateWindow]) -> Mapping[str, RateWindow]:
    """The same, where a team is counted together; each process makes its own, after it was forked."""
    from contracts.bus.redis_rates import RedisRates
    from multi_agent.models.layers.rate_limit import LocalWindow
    from multi_agent.models.layers.team_window import TeamWindow

    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    if settings.rates_of != "team" or not url or url.startswith("memory:"):
        return windows
    return {
        model: TeamWindow(RedisRates(url, model, rates), windows.get(model) or LocalWindow(rates))
        for model, rates in _limited(settings).items()
    }


def _limited(settings: Settings) -> dict[str, Rates]:
    """The models that have limits, and these."""
    from contracts.ports.rates import Rates

    rates = Rates(settings.requests_per_minute, settings.tokens_per_minute)
    if rates == Rates():
        return {}
    from multi_agent.models import service_models

    return dict.fromkeys(service_models(settings.model_spec), rates)


async def check_model(settings: Settings, asked: Asked | None = None) -> tuple[str, ...]:
    """Check the model before anything starts that needs it.

    asked: None where it is not known yet what the model will be asked.
    What is wrong with some models of a list, or not known of them, is returned, a line each, to be said.
    Raises NotConfigured, and ModelUnavailable when its service is away now.
    """
    from multi_agent.models import check_model, unpriced

    is_chosen = settings.model is not None or settings.model_spec != "replay"
    wanted = model_settings(settings)
    wrong = await check_model(wanted, is_chosen=is_chosen, asked=asked)
    return (
        *(f"another model of the list is asked instead: {line}" for line in wrong),
        *(f"costs leave out {model}, whose price is not known" for model in unpriced(wanted)),
    )


def check_price(settings: Settings) -> None:
    """Check that what the model costs is known. Raises NotConfigured."""
    from multi_agent.models import check_price

    check_price(model_settings(settings))


def cost_functions(settings: Settings) -> dict[str, Callable[[Usage], float | None]]:
    """What a usage costs, by each model of a service that would be asked; None where no price is known."""
    from multi_agent.models import model_prices

    def cost(price: Price, usage: Usage) -> float | None:
        used = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens or 0)
        return price.cost(*used) if price.is_known else None

    prices = model_prices(model_settings(settings))
    return {model: partial(cost, price) for model, price in prices.items()}


def model_settings(settings: Settings) -> ModelSettings:
    """The model's part of the settings."""
    from multi_agent.models import ModelSettings, told

    return ModelSettings(
        spec=settings.model_spec,
        gemini_api_key=settings.gemini_api_key,
        gemini_base_url=settings.gemini_base_url,
        openai_api_key=settings.openai_api_key,
        openai_base_url=settings.openai_base_url,
        anthropic_api_key=settings.anthropic_api_key,
        anthropic_base_url=settings.anthropic_base_url,
        timeout_seconds=settings.model_timeout_seconds,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        input_usd_per_million=settings.input_price,
        output_usd_per_million=settings.output_price,
        cached_usd_per_million=settings.cached_input_price,
        told=told(
            settings.max_output_tokens,
            settings.max_output_tokens_name,
            settings.model_temperature,
            settings.model_schema,
            settings.model_tools,
        ),
        cache=_cache_rules(settings),
        memory=settings.data / "models",
        proxies=settings.proxies,
        redact=settings.redactor,
    )


def _cache_rules(settings: Settings) -> CacheRules | None:
    from multi_agent.models.layers.stored_cache import CacheRules

    if settings.model_cache is None:
        return None
    roles = [role.strip() for role in settings.model_cache_without.split(",")]
    if strange := next((role for role in roles if role and not role.isidentifier()), ""):
        raise NotConfigured(
            f"MULTI_AGENT_MODEL_CACHE_WITHOUT names {strange[:80]!r}, which is no role; write roles with "
            "commas between, such as tester,reviewer"
        )
    return CacheRules(
        folder=settings.model_cache.expanduser().absolute(),
        max_seconds=settings.model_cache_hours * 3_600,
        max_bytes=settings.model_cache_mb * 1_000_000,
        without=frozenset(filter(None, roles)),
    )


def make_planner(
    settings: Settings, model: ModelClient, modules: Sequence[str] = (), protected: tuple[str, ...] = ()
) -> Planner:
    """A planner that knows the roles of all agents that would be found here.

    protected: patterns of paths that no plan may write.
    """
    from agents.sdk.registry import agent_info
    from contracts.documents.plan_checks import PlanLimits
    from planner_service.planning import PLANNED_ROLES, Planner, PlannerSettings

    return Planner(
        model,
        PlannerSettings(
            limits=PlanLimits(max_tasks=settings.max_tasks, protected=protected),
            known_roles=PLANNED_ROLES | {agent_info(found).role for found in find_agents(modules)},
        ),
    )


def planner_from_environment() -> Planner:
    """What the entry point `planner` of the group `multi_agent.services` gives."""
    settings = load_settings()
    return make_planner(settings, make_model(settings))
