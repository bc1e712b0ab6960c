"""`multi-agent logs`."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_json
from contracts.base.text import flowing
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.cli.tables import Terminal
from multi_agent.runtime.observing.log_files import LogFiles, LogLine
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings

_LOOK_SECONDS: Final = 0.2
_SHOWN_FIRST: Final = frozenset({"timestamp", "level", "event", "process"})
_STYLES: Final = {"warning": "yellow", "error": "red", "critical": "red"}


@click.command()
@newest_workflow_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on, until Ctrl-C.")
@data_dir_option
@json_option
def logs(workflow: str | None, follow: bool, as_json: bool, **options: object) -> None:
    """Print the logs of the processes that serve the data folder; with WORKFLOW only what names it.

    Sentences on a terminal, JSON elsewhere, one object a line.
    """
    settings = quiet_settings(**options)
    folder = settings.data / "logs"
    if not folder.is_dir():
        raise InvalidInput(f"there are no logs in {folder}; those of other machines are where they run")
    workflow_id = asyncio.run(_resolve(settings, workflow)) if workflow else None
    terminal = Terminal()
    files = LogFiles(folder)
    while True:
        for line in files.new_lines():
            if workflow_id is None or line.is_about(workflow_id):
                _print(terminal, line, as_json=as_json or not terminal.is_read)
        if not follow:
            return
        time.sleep(_LOOK_SECONDS)


async def _resolve(settings: Settings, name: str) -> str:
    async with open_client(settings) as client:
        return await client.resolve(name)


def _print(terminal: Terminal, line: LogLine, *, as_json: bool) -> None:
    if as_json:
        source = {"source": line.source}
        print_json(source | dict(line.fields) | source, indent=None)
        return
    terminal.print_line(_sentence(line), _STYLES.get(str(line.fields.get("level")), ""))


def _sentence(line: LogLine) -> str:
    facts = ", ".join(
        f"{name} {flowing(str(value))}"
        for name, value in line.fields.items()
        if name not in _SHOWN_FIRST and value not in (None, "")
    )
    event = str(line.fields.get("event", ""))
    what = event.replace("_", " ") if "level" in line.fields else event
    when = f"{line.at[:19].replace('T', ' ')}Z" if line.at else " " * 20
    return f"{when} {line.source:<13} {what}" + (f" ({facts})" if facts else "")
