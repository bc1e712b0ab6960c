"""What several commands share: options, opened services, and how answers are waited for."""

from __future__ import annotations

import getpass
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from pydantic import SecretStr

from contracts.base.errors import InvalidInput
from multi_agent.bootstrap import make_bus, make_client, make_database, upgrade_database
from multi_agent.runtime.locks import FileLock
from multi_agent.settings import Settings, load_settings

if TYPE_CHECKING:
    from contracts.ports.bus import MessageBus
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.storage.sql.database import Database

F = TypeVar("F", bound=Callable[..., Any])

ANSWER_SECONDS = 5.0

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for state, logs and artifacts. [default: .multi_agent, env MULTI_AGENT_DATA_DIR]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
model_option = click.option(
    "--model", help="Model to ask, such as gemini:MODEL, openai:MODEL, replay, manual:DIR, record:DIR:MODEL."
)
sandbox_option = click.option(
    "--sandbox",
    type=click.Choice(["auto", "docker", "bubblewrap", "namespaces", "host"]),
    help="Where programs run; `host` asks sandbox hosts. [default: auto, the strongest that is ready here]",
)
agents_option = click.option(
    "--agents", "modules", multiple=True, metavar="MODULE", help="Module with agents of your own; repeatable."
)


def settings_of(**options: Any) -> Settings:
    """Settings from the environment and these options. What is logged from now on goes to stderr."""
    from multi_agent.telemetry.logs import set_up_logs  # noqa: PLC0415 - see asking_settings

    settings = load_settings(options)
    set_up_logs("warning", process="cli")
    return settings


def asking_settings(**options: Any) -> Settings:
    """As `settings_of`, for a command that asks the database and logs nothing: loading the logging would take
    a tenth of its time.
    """
    return load_settings(options)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def person() -> str:
    """Who is sitting here."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


@asynccontextmanager
async def opened_services(
    settings: Settings, *, create: bool = False
) -> AsyncIterator[tuple[Database, MessageBus | None]]:
    """The data folder's database, and the bus where one is known."""
    if not create and settings.database_url is None and not (settings.data / "state.db").exists():
        raise InvalidInput(f"there is nothing in {settings.data} yet; start with `multi-agent run` or `up`")
    url = FileLock(settings.data / "stack.lock").note().get("redis_url")
    if settings.redis_url is None and url:
        settings = settings.model_copy(update={"redis_url": SecretStr(url)})
    bus = make_bus(settings) if settings.redis_url else None
    if create:
        upgrade_database(settings)
    database = make_database(settings)
    try:
        yield database, bus
    finally:
        await database.close()
        if bus is not None:
            await bus.close()


@asynccontextmanager
async def opened_client(settings: Settings, *, create: bool = False) -> AsyncIterator[WorkflowClient]:
    """A client of the data folder's database, able to wake the owner up where one is known."""
    async with opened_services(settings, create=create) as (database, bus):
        yield make_client(settings, database, bus)


async def settle(client: WorkflowClient, send: Awaitable[str]) -> str:
    """Send a command and wait for its answer; raises InvalidInput when the owner refuses it."""
    answer = await client.answer(await send, ANSWER_SECONDS)
    if answer is None:
        return "noted; it takes effect when an orchestrator runs (`multi-agent up`)"
    if answer.startswith("refused: "):
        raise InvalidInput(answer.removeprefix("refused: "))
    return answer
