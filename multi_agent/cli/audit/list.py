"""`multi-agent audit list`."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from contracts.base.printing import print_json, print_line
from contracts.base.timestamps import local_time
from multi_agent.application.status import find_workflow
from multi_agent.cli.completing import complete_workflow
from multi_agent.cli.options import data_dir_option, json_option, quiet_settings
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.core.audit.chain import AuditRow

_PLACES = ("workflow_id", "task_id")


@click.command("list")
@click.option(
    "--workflow", metavar="WORKFLOW", shell_complete=complete_workflow, help="Only what is about this one."
)
@click.option("--kind", metavar="KIND", help="Only rows of this kind, such as command.applied.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@data_dir_option
@json_option
def list_rows(workflow: str | None, kind: str | None, limit: int, as_json: bool, **options: object) -> None:
    """List the newest rows of the audit log, oldest first: who decided what, from where.

    Free text is in none of them, only its SHA-256.
    """
    rows = asyncio.run(_read(quiet_settings(**options), workflow, kind, limit))
    if as_json:
        print_json([_as_json(row) for row in rows])
        return
    for row in rows:
        print_line(_line(row))
    if not rows:
        print_line("no rows")


async def _read(settings: Settings, workflow: str | None, kind: str | None, limit: int) -> list[AuditRow]:
    async with open_client(settings) as client:
        name = (await find_workflow(client, workflow)).header.workflow_id if workflow else None
        return await client.audit.newest(limit, workflow_id=name, kind=kind)


def _as_json(row: AuditRow) -> dict[str, Any]:
    """A row with what its text says, if that can be read, and its hash."""
    known = {"at": row.at, "chain": row.chain, "number": row.number, "kind": row.kind, "hash": row.hash}
    return {**dict.fromkeys((*_PLACES, "who", "via", "facts")), **row.said, **known}


def _line(row: AuditRow) -> str:
    said = row.said
    who = f"{said.get('who')} ({said.get('via')})" if said else "(its text cannot be read)"
    where = "/".join(str(said[name]) for name in _PLACES if name in said)
    facts = " ".join(f"{name}={fact}" for name, fact in row.facts.items())
    parts = [local_time(row.at), f"{row.chain} {row.number}", row.kind, who, where, facts]
    return "  ".join(part for part in parts if part)
