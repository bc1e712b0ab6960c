"""Settings: the only reader of the environment. Variables without the prefix are those that all tools use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from urllib.request import getproxies

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.base.errors import NotConfigured
from contracts.base.secrets.redaction import Redactor, url_secrets
from multi_agent.budget_settings import BudgetSettings
from multi_agent.forges.access import ForgeSettings
from multi_agent.gateway_settings import GatewaySettings
from multi_agent.layer_settings import LayerSettings
from multi_agent.rollout_settings import RolloutSettings
from multi_agent.setting_words import wanted
from multi_agent.trace_settings import TraceSettings


def _env(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class _Served(GatewaySettings, RolloutSettings):
    """What other programs are served."""


class Settings(BudgetSettings, LayerSettings, _Served, TraceSettings, ForgeSettings, BaseSettings):
    """All settings, each from an environment variable; options of the command line override them.

    Every setting has a default that works on a machine without any services.
    """

    model_config = SettingsConfigDict(
        env_prefix="MULTI_AGENT_",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,
        allow_inf_nan=False,
    )

    data_dir: Path = Field(default=Path(".multi_agent"), description="state, logs, artifacts")
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias=_env("MULTI_AGENT_REDIS_URL", "REDIS_URL"),
        description="the bus: `redis://`, `rediss://`, `unix://`; without it a private Redis",
    )
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=_env("MULTI_AGENT_DATABASE_URL", "DATABASE_URL"),
        description="`sqlite:///PATH` or `postgresql://...`; without it SQLite in the data folder",
    )
    artifact_store: str | None = Field(
        default=None, description="path or URL of the bare Git repository; without it one in the data folder"
    )
    audit_hook: SecretStr | None = Field(
        default=None,
        description="a command or http address that is told the heads of the [audit log](audit.md)",
    )
    model: str | None = Field(
        default=None, description="see [models](models.md); without it Gemini with a key, else `replay`"
    )
    gemini_api_key: SecretStr | None = Field(
        default=None, validation_alias=_env("GEMINI_API_KEY", "GOOGLE_API_KEY"), description="key for Gemini"
    )
    gemini_base_url: str | None = Field(default=None, description="another address of Gemini")
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias=_env("OPENAI_API_KEY"), description="key for OpenAI"
    )
    openai_base_url: str | None = Field(
        default=None, validation_alias=_env("OPENAI_BASE_URL"), description="of a server that speaks it"
    )
    anthropic_api_key: SecretStr | None = Field(
        default=None, validation_alias=_env("ANTHROPIC_API_KEY"), description="key for Anthropic"
    )
    anthropic_base_url: str | None = Field(
        default=None, validation_alias=_env("ANTHROPIC_BASE_URL"), description="of a server that speaks it"
    )
    model_timeout_seconds: float = Field(default=120.0, gt=0, description="for one answer")
    max_output_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens of one answer, its thoughts included; without it 16384 or what the model allows",
    )
    max_output_tokens_name: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        default=None, description="what an OpenAI-compatible server calls that limit; without it found out"
    )
    model_temperature: float | Literal["off"] | None = Field(
        default=None,
        description="for every request, `off` sends none; without it 0, or none where it is not accepted",
    )
    model_schema: Literal["json_schema", "json_object", "off"] | None = Field(
        default=None,
        description="how the form of an answer is sent, `off` describes it in words; without it found out",
    )
    model_tools: Literal["auto", "native", "text"] = Field(
        default="auto",
        description="how models call tools: `native`, or in `text` as JSON; `auto` finds it out",
    )
    sandbox: str = Field(default="auto", description="see [sandboxes](sandboxes.md)")
    host_sandbox: str = Field(
        default="auto", description="what a sandbox host uses itself, unless `--sandbox` says so"
    )
    sandbox_max_seconds: float = Field(
        default=3_600.0, gt=0, description="the most that a sandbox host lets a program have"
    )
    sandbox_max_memory_mb: int = Field(
        default=4_096, ge=1, description="the most that a sandbox host lets a program have"
    )
    sandbox_image: str | None = Field(
        default=None, description="for Docker; without it ours, of this version"
    )
    sandbox_runtime: str | None = Field(
        default=None, description="an OCI runtime that the engine knows, such as `runsc`"
    )
    sandbox_warm: int = Field(
        default=1,
        ge=0,
        le=16,
        description="started sandboxes that wait for a program in each process of a worker, for each of "
        "the limits used last (four at most)",
    )
    docker_host: str | None = Field(
        default=None,
        validation_alias=_env("DOCKER_HOST"),
        description="`unix://` address of the engine; without it the usual sockets",
    )
    plan: Literal["auto", "full", "single"] = Field(
        default="auto",
        description="who makes the plan of a run: `full` the model, `single` nobody, one agent does all and "
        "asks for a plan if it needs one; `auto` is `single` in a repository, else `full`",
    )
    questions: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="whether agents may ask a person; `auto` where the work is started on a terminal",
    )
    approvals: Path | None = Field(
        default=None,
        description="file with your rules about approvals; else `approvals.toml` in the data folder, if it "
        "is there; see [approvals](approvals.md)",
    )
    max_tasks: int = Field(default=200, ge=1, le=100_000, description="tasks in a plan")
    max_repository_files: int = Field(
        default=50_000,
        ge=1,
        le=1_000_000,
        description="files of a repository given with `--repo`",
    )
    max_repository_mb: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="size of that repository, in 1,000,000 bytes",
    )
    baseline_seconds: float = Field(
        default=300.0,
        ge=0,
        le=3_600,
        description="how long a repository's own tests may run on its base, beside planning; 0 for never",
    )
    max_open_workflows: int = Field(
        default=5_000,
        ge=1,
        description="open and queued workflows; beyond it `submit` is told to wait (`--wait SECONDS`)",
    )
    environment: str = Field(
        default="auto",
        description="a repository's packages: `auto` finds and builds them, `none` leaves them out, else a "
        "folder of yours; see [environments](environments.md)",
    )
    environment_seconds: int = Field(default=900, ge=1, description="time for each step of building one")
    environment_cache_mb: int = Field(
        default=10_000, ge=1, description="size of all built environments; the ones used longest ago go"
    )
    workers: int = Field(default=2, ge=1, le=64, description="workers of `run` and `up`")
    slots: int = Field(
        default=2,
        ge=1,
        le=256,
        description="tasks at once in each worker, each in a process of its own; of short agents as many "
        "again in one process",
    )
    worker_memory_mb: int = Field(
        default=2_048, ge=256, description="resident memory of one process of a worker; beyond it it is ended"
    )
    lease_seconds: float = Field(
        default=6.0,
        ge=1.5,
        description="silence after which a worker's tasks go to others, or an orchestrator counts as dead",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="logs go to stderr, those of `run` and `up` to the data folder"
    )
    failpoints: str | None = Field(default=None, description="faults to inject; for scratch folders only")
    failpoint_seed: int = Field(default=0, description="of the faults to inject")
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Prometheus metrics of an `orchestrator` or `worker`, or of all of `run` and `up`",
    )
    metrics_host: str = Field(default="127.0.0.1", description="where metrics are listened for")
    search_path: str = Field(
        default=os.defpath, validation_alias=_env("PATH"), description="where programs are looked for"
    )
    runtime_base: Path | None = Field(
        default=None, validation_alias=_env("XDG_RUNTIME_DIR"), description="folder for sockets"
    )

    @property
    def data(self) -> Path:
        """The data folder as an absolute path."""
        return self.data_dir.expanduser().absolute()

    @property
    def database(self) -> str:
        """The URL of the database; by default SQLite in the data folder."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{quote(str(self.data / 'state.db'))}"

    @property
    def artifacts(self) -> str:
        """The path or URL of the artifact store; by default a bare repository in the data folder."""
        return self.artifact_store or str(self.data / "artifacts.git")

    @property
    def redactor(self) -> Redactor:
        """Removes every key and password that is set here."""
        given = [self.gemini_api_key, self.openai_api_key, self.anthropic_api_key, *self.forge_tokens]
        given.append(self.rollout_token)
        keys = [key.get_secret_value() for key in given if key]
        urls = [url.get_secret_value() for url in (self.redis_url, self.database_url) if url]
        bases = (self.gemini_base_url, self.openai_base_url, self.anthropic_base_url)
        urls += [*filter(None, (self.artifact_store, self.docker_host, *bases)), *self.proxies.values()]
        return Redactor([*keys, *self.otlp_secrets, *(secret for url in urls for secret in url_secrets(url))])

    @property
    def proxies(self) -> dict[str, str]:
        """scheme -> URL of the proxy that the environment names, and "no" -> hosts that need none."""
        return getproxies()

    @property
    def model_spec(self) -> str:
        """The model to use: the one that is set, else Gemini if there is a key, else the recordings."""
        if self.model:
            return self.model
        return "gemini:gemini-2.5-pro" if self.gemini_api_key else "replay"


_INHERITED = (
    *("model", "max_output_tokens", "max_output_tokens_name", "model_temperature", "model_schema"),
    *("model_tools", "sandbox", "host_sandbox", "sandbox_image", "sandbox_runtime", "environment"),
    *("artifact_store", "slots", "worker_memory_mb", "max_tasks", "log_level"),
)


def variable_of(field: str) -> str:
    """The environment variable of a setting; the first where there are several."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"MULTI_AGENT_{field.upper()}"


def load_settings(options: Mapping[str, Any] | None = None) -> Settings:
    """Load settings from the environment; `options` that are not None override them. Raises NotConfigured."""
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = str(first["loc"][0])
        field = next(
            name for name in Settings.model_fields if place.lower() in {name, variable_of(name).lower()}
        )
        allowed = wanted(Settings.model_fields[field])
        raise NotConfigured(
            f"{variable_of(field)} is {str(first['input'])[:80]!r}; set it to {allowed}, or unset it"
        ) from None


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the environment for a child process: this process's environment with these settings added."""
    shown = {**os.environ, "MULTI_AGENT_DATA_DIR": str(settings.data)}
    # One port cannot serve several processes.
    shown.pop("MULTI_AGENT_METRICS_PORT", None)
    if settings.redis_url:
        shown["REDIS_URL"] = settings.redis_url.get_secret_value()
    for name in _INHERITED:
        if (value := getattr(settings, name)) is not None:
            shown[f"MULTI_AGENT_{name.upper()}"] = str(value)
    if settings.database_url:
        shown["DATABASE_URL"] = settings.database_url.get_secret_value()
    return shown
