"""Options that several commands share, and the settings they lead to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from contracts.base.errors import InvalidInput
from contracts.documents.approval_policy import RISKS
from contracts.messages.budget import MOST_TOKENS, MOST_USD
from multi_agent.cli.completing import complete_workflow
from multi_agent.cli.pasted import note_caller
from multi_agent.settings import Settings, load_settings

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for state, logs and artifacts. [default: .multi_agent, env MULTI_AGENT_DATA_DIR]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
model_option = click.option(
    "--model",
    help="Model to ask, such as gemini:MODEL, openai:MODEL, anthropic:MODEL, replay, manual:DIR, "
    "record:DIR:MODEL; several with commas between, each asked where the ones before cannot answer.",
)
sandbox_option = click.option(
    "--sandbox",
    type=click.Choice(["auto", "docker", "bubblewrap", "namespaces", "host"]),
    help="Where programs run; `host` asks sandbox hosts. [default: auto, the strongest that is ready here]",
)
environment_option = click.option(
    "--environment",
    metavar="DIR",
    help="The repository's packages: a virtual environment or node_modules of yours, `none`, or `auto`, "
    "which finds and builds them. [default: auto, env MULTI_AGENT_ENVIRONMENT]",
)
agents_option = click.option(
    "--agents", "modules", multiple=True, metavar="MODULE", help="Module with agents of your own; repeatable."
)
database_option = click.option(
    "--database-url", help="The database. [env DATABASE_URL; default: SQLite in the data folder]"
)
redis_option = click.option("--redis-url", help="The bus. [env REDIS_URL]")
artifacts_option = click.option("--artifact-store", help="Path or URL of the artifact repository.")
_metrics_port = click.option(
    "--metrics-port", type=click.IntRange(1, 65535), help="Serve Prometheus metrics at /metrics."
)
_metrics_host = click.option("--metrics-host", help="Serve them on this address. [default: 127.0.0.1]")
on_event_option = click.option(
    "--on-event",
    "hooks",
    multiple=True,
    metavar="COMMAND|URL",
    help="Tell of a workflow that completed, failed or waits for a person, as JSON; repeatable.",
)
questions_option = click.option(
    "--questions",
    type=click.Choice(["auto", "always", "never"]),
    help="Whether agents in a repository may ask you (see `answer`), or decide themselves. [default: auto, "
    "where this command runs on a terminal; env MULTI_AGENT_QUESTIONS]",
)


_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SPAN = re.compile(r"(\d{1,6})([smhd])")


def seconds_of_span(option: str, span: str) -> float:
    """The seconds of a span such as 30m. Raises InvalidInput, which names the option."""
    found = _SPAN.fullmatch(span)
    if not found:
        raise InvalidInput(
            f"{option} is {span[:40]!r}; write a number with s, m, h or d, such as 30m, 12h or 7d"
        )
    return int(found[1]) * _SECONDS[found[2]]


class Dollars(click.FloatRange):
    """An amount of money that can be spent."""

    def __init__(self) -> None:
        super().__init__(min=0, max=MOST_USD, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is no amount of dollars.", param, ctx)
        return found


_budget_usd = click.option(
    "--budget",
    type=Dollars(),
    metavar="USD",
    help="Spend no more on models, with planning; then it waits (see `budget`). [env MULTI_AGENT_BUDGET]",
)
_budget_tokens = click.option(
    "--budget-tokens",
    type=click.IntRange(1, MOST_TOKENS),
    metavar="N",
    help="Use no more tokens, read and written together. [env MULTI_AGENT_BUDGET_TOKENS]",
)
roles_option = click.option(
    "--role", "roles", multiple=True, help="Role to serve; repeatable. [default: all that have an agent]"
)
workflow_argument = click.argument("workflow", shell_complete=complete_workflow)
newest_workflow_argument = click.argument("workflow", required=False, shell_complete=complete_workflow)
task_argument = click.argument("task", required=False)
all_option = click.option("--all", "every", is_flag=True, help="All that wait, in the newest workflows.")
risk_option = click.option(
    "--risk", type=click.Choice(RISKS), default=RISKS[-1], help="Of at most this risk. [default: high]"
)
comment_option = click.option("--comment", metavar="TEXT", help="Why; it is kept with the approval.")


def budget_options(command: Decorated) -> Decorated:
    """Options for what a new workflow may spend."""
    return _budget_usd(_budget_tokens(command))


def metrics_option(command: Decorated) -> Decorated:
    """Options for metrics."""
    return _metrics_port(_metrics_host(command))


def settings_of(**options: object) -> Settings:
    """Settings from the environment and these options. What is logged from now on goes to stderr."""
    from multi_agent.telemetry.logs import set_up_logs  # noqa: PLC0415 - see quiet_settings

    settings = quiet_settings(**options)
    set_up_logs("warning", settings.redactor, process="cli")
    return settings


def quiet_settings(**options: object) -> Settings:
    """As `settings_of`, for a command that only reads and logs nothing: logging takes a tenth of its time."""
    settings = load_settings(options)
    note_caller(settings)
    return settings
