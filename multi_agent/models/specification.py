"""What a user says about the model to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import SecretStr

from contracts.base.errors import NotConfigured
from contracts.base.secrets.redaction import Redactor
from contracts.ports.rates import Rates, RateWindow
from multi_agent.models.adapters.accepted import LimitName, SchemaStyle, Told, ToolStyle
from multi_agent.models.layers.measured import CallSeen
from multi_agent.models.layers.stored_cache import CacheRules

_STYLES: Final = {
    "json_schema": SchemaStyle.JSON_SCHEMA,
    "json_object": SchemaStyle.JSON_OBJECT,
    "off": SchemaStyle.WORDS,
}
MODEL_FORMS: Final = (
    "replay",
    "replay:DIR",
    "record:DIR:SPEC",
    "manual",
    "manual:DIR",
    "gemini:MODEL",
    "gemini-legacy:MODEL",
    "openai:MODEL",
    "openai-responses:MODEL",
    "anthropic:MODEL",
)
"""The forms of a specification. DIR must not contain a colon."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model to use, and its limits."""

    spec: str = "replay"
    """One of MODEL_FORMS, or several models of services with commas between."""
    gemini_api_key: SecretStr | None = None
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    gemini_base_url: str | None = None
    """None for Google's address."""
    openai_base_url: str | None = None
    """The address of any service with chat completions, None for OpenAI's."""
    anthropic_base_url: str | None = None
    """The address of any service with Anthropic messages, None for Anthropic's."""
    timeout_seconds: float = 180.0
    """The limit of one attempt."""
    max_attempts: int = 5
    retry_seconds: float = 300.0
    """The limit of all attempts together: none starts later than this after the first."""
    requests_per_minute: int | None = None
    """Of each model, None for no limit."""
    tokens_per_minute: int | None = None
    """Of each model, in and out together, None for no limit."""
    windows: Mapping[str, RateWindow] = field(default_factory=dict)
    """By SERVICE:MODEL what counts the requests of several clients together; others count for themselves."""
    input_usd_per_million: float | None = None
    """US dollars per million input tokens, None if unknown."""
    output_usd_per_million: float | None = None
    """US dollars per million output tokens, None if unknown."""
    cached_usd_per_million: float | None = None
    """US dollars per million input tokens that the service had cached; None for the same as the others."""
    max_answer_bytes: int = 4_000_000
    told: Told = field(default_factory=Told)
    """What the model takes, as far as the user says it."""
    cache: CacheRules | None = None
    """Where answers are kept for other processes and runs; None for nowhere."""
    memory: Path | None = None
    """A folder for what is learned about models; None to forget it with the client."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    """scheme -> URL of a proxy, and "no" -> hosts that are reached directly, as in the environment."""
    replay_dirs: tuple[Path, ...] = ()
    """Folders of recordings for "replay", searched before the shipped recordings."""
    seen: CallSeen | None = None
    """Hears of each question to a model; see multi_agent.models.layers.measured."""
    redact: Redactor = field(default_factory=Redactor)
    """Removes the secrets of this process from what comes back; it should know the keys above."""

    def identity(self, model: str) -> str:
        """Everything but the request that may change a model's answer."""
        addresses = {"openai": self.openai_base_url, "anthropic": self.anthropic_base_url}
        address = addresses.get(model.partition(":")[0], self.gemini_base_url)
        return f"{model}\n{address}\n{self.told}"

    @property
    def rates(self) -> Rates | None:
        """How much each model may be asked in a minute, None for no limit."""
        rates = Rates(self.requests_per_minute, self.tokens_per_minute)
        return None if rates == Rates() else rates


def told(
    max_output_tokens: int | None,
    limit_name: LimitName | None,
    temperature: float | Literal["off"] | None,
    schema: Literal["json_schema", "json_object", "off"] | None,
    tools: Literal["auto", "native", "text"] = "auto",
) -> Told:
    """What the settings say that the model takes; None where they say nothing."""
    return Told(
        max_output_tokens=max_output_tokens,
        limit_name=limit_name,
        temperature=None if temperature == "off" else temperature,
        with_temperature=temperature != "off",
        schema_style=None if schema is None else _STYLES[schema],
        tool_style=ToolStyle.TEXT if tools == "text" else None,
        only_native=tools == "native",
    )


def unknown_model(spec: str) -> NotConfigured:
    """Make the error for a specification of no known form."""
    return NotConfigured(f"unknown model {spec!r}; use one of: {', '.join(MODEL_FORMS)}")
