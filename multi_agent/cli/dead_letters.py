"""`dead-letters`: tasks that were given up and messages that nobody could read, and what becomes of them."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from multi_agent.cli.common import data_dir_option, json_option, opened_client, person, settings_of, settle
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.scheduling.dead_letters import StoredDeadLetter

_letter = click.argument("letter_id", metavar="ID", type=click.IntRange(1))
_HEX_COLUMNS = 32


@click.group()
def dead_letters() -> None:
    """Look at what was given up, and retry or discard it."""


@dead_letters.command("list")
@click.option("--all", "resolved", is_flag=True, help="Also those that were retried or discarded.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@data_dir_option
@json_option
def list_letters(resolved: bool, limit: int, as_json: bool, **options: object) -> None:
    """List the newest open dead letters."""
    letters = asyncio.run(_letters(settings_of(**options), resolved, limit))
    if as_json:
        _print_json([letter_json(letter) for letter in letters])
        return
    if not letters:
        click.echo("no dead letters")
    for letter in letters:
        state = f"  [{letter.resolution}]" if letter.resolution else ""
        click.echo(
            f"{letter.dead_letter_id}  {_moment(letter.at)}  {_about(letter)}{state}  {_brief(letter)}"
        )


async def _letters(settings: Settings, resolved: bool, limit: int) -> list[StoredDeadLetter]:
    async with opened_client(settings) as client:
        return await client.dead_letters(resolved=resolved, limit=limit)


@dead_letters.command()
@_letter
@data_dir_option
@json_option
def show(letter_id: int, as_json: bool, **options: object) -> None:
    """Show the reason, the bytes and the worker's last words of dead letter ID."""
    letter = asyncio.run(_one(settings_of(**options), letter_id))
    if as_json:
        _print_json(letter_json(letter))
        return
    click.echo(f"{letter.dead_letter_id}  {_moment(letter.at)}  {_about(letter)}")
    click.echo(f"stream   {printable(letter.stream)}")
    click.echo(f"reason   {printable(letter.reason)}")
    if letter.resolution and letter.resolved_at:
        click.echo(f"{letter.resolution} {_moment(letter.resolved_at)}")
    click.echo(f"message, {len(letter.raw)} bytes:\n{shown_bytes(letter.raw)}")
    if letter.logs:
        click.echo(f"the worker logged last:\n{printable(letter.logs)}")


async def _one(settings: Settings, letter_id: int) -> StoredDeadLetter:
    async with opened_client(settings) as client:
        return await client.dead_letter(letter_id)


@dead_letters.command()
@_letter
@data_dir_option
def retry(letter_id: int, **options: object) -> None:
    """Give the task of dead letter ID fresh attempts, or publish its message again."""
    click.echo(_send(options, lambda client: client.retry_dead_letter(letter_id, person())))


@dead_letters.command()
@_letter
@data_dir_option
def discard(letter_id: int, **options: object) -> None:
    """Close dead letter ID; `list --all` still shows it."""
    click.echo(_send(options, lambda client: client.discard_dead_letter(letter_id, person())))


def _send(options: dict[str, object], command: Callable[[WorkflowClient], Awaitable[str]]) -> str:
    async def run() -> str:
        async with opened_client(settings_of(**options)) as client:
            return await settle(client, command(client))

    return asyncio.run(run())


def letter_json(letter: StoredDeadLetter) -> dict[str, Any]:
    """A dead letter for programs; its bytes are in base64."""
    fields = asdict(letter)
    return {**fields, "raw": base64.b64encode(letter.raw).decode()}


def shown_bytes(raw: bytes) -> str:
    """UTF-8 as text, anything else in hexadecimal; no control character of it reaches a terminal."""
    try:
        return printable(raw.decode())
    except UnicodeDecodeError:
        return "\n".join(raw[at : at + _HEX_COLUMNS].hex(" ") for at in range(0, len(raw), _HEX_COLUMNS))


def printable(text: str) -> str:
    """The text with everything escaped that a terminal might obey; line ends stay."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def _print_json(value: Any) -> None:
    """In ASCII, so that no control character of a message reaches a terminal."""
    click.echo(json.dumps(value, indent=2))


def _about(letter: StoredDeadLetter) -> str:
    return f"task {letter.workflow_id} {letter.task_id}" if letter.task_id else f"message {letter.stream}"


def _brief(letter: StoredDeadLetter) -> str:
    return printable(" ".join(letter.reason.split()))[:100]


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
