"""`multi-agent trace`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from contracts.base.text import flowing
from multi_agent.cli.diagnosis.waterfall import waterfall
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.cli.tables import Terminal
from multi_agent.runtime.observing.trace_export import export_once
from multi_agent.runtime.observing.traces import open_kept, read_trace
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from multi_agent.telemetry.tracing.conventions import CONVENTIONS
from multi_agent.telemetry.tracing.trace import Trace


@click.command()
@newest_workflow_argument
@click.option("--export", is_flag=True, help="Send it to OTEL_EXPORTER_OTLP_ENDPOINT as well.")
@data_dir_option
@json_option
def trace(workflow: str | None, export: bool, as_json: bool, **options: object) -> int:
    """Show where the time, tokens and money of WORKFLOW, or of the newest one, went, as a waterfall.

    Exit code 1 where the trace is not complete, with what is missing.
    """
    settings = quiet_settings(**options)
    found = asyncio.run(_read(settings, workflow))
    if export:
        asyncio.run(export_once(settings, found.spans))
    if as_json:
        print_json({"conventions": CONVENTIONS, **asdict(found)})
    else:
        _print(found)
    return 1 if found.problems else 0


def _print(found: Trace) -> None:
    terminal = Terminal()
    print_line(f"workflow {found.workflow_id}" + ("" if found.ended else ", which goes on"))
    for line, style in waterfall(found):
        terminal.print_line(line, style)
    for problem in found.problems:
        print_line(f"not complete: {flowing(problem)}", err=True)


async def _read(settings: Settings, name: str | None) -> Trace:
    async with open_client(settings) as client, open_kept(settings) as artifacts:
        return await read_trace(client, artifacts, await client.resolve(name))
