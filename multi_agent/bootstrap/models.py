"""The model, and the planner that asks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.ports.model import ModelClient
from multi_agent.bootstrap.services import find_agents
from multi_agent.settings import Settings, load_settings

if TYPE_CHECKING:
    from multi_agent.models import Asked, ModelSettings
    from multi_agent.models.layers.rate_limit import RequestWindow
    from planner_service.planning import Planner

# Each part is imported where it is built: the command line must not load a database to print its help.
# ruff: noqa: PLC0415


def make_window(settings: Settings) -> RequestWindow | None:
    """What counts requests to models, also of processes forked from this one; None without a limit."""
    from multi_agent.models.layers.shared_window import SharedWindow

    return SharedWindow(settings.requests_per_minute) if settings.requests_per_minute else None


def make_model(settings: Settings, window: RequestWindow | None = None) -> ModelClient:
    """The model client that the settings name. Raises NotConfigured."""
    from multi_agent.models import build_model

    return build_model(model_settings(settings, window))


async def check_model(settings: Settings, asked: Asked | None = None) -> None:
    """Check the model before anything starts that needs it.

    asked: None where it is not known yet what the model will be asked.
    Raises NotConfigured, and ModelUnavailable when its service is away now.
    """
    from multi_agent.models import check_model

    is_chosen = settings.model is not None or settings.model_spec != "replay"
    await check_model(model_settings(settings), is_chosen=is_chosen, asked=asked)


def check_price(settings: Settings) -> None:
    """Check that what the model costs is known. Raises NotConfigured."""
    from multi_agent.models import check_price

    check_price(model_settings(settings))


def model_settings(settings: Settings, window: RequestWindow | None = None) -> ModelSettings:
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
        window=window,
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
        memory=settings.data / "models",
        proxies=settings.proxies,
        redact=settings.redactor,
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
