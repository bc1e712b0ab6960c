"""What programs may rely on: the words of the command line, and the keys of its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from multi_agent import cli as command_line
from multi_agent.application.ends.summary import FinishedRun, Summary
from multi_agent.cli import cli
from multi_agent.cli.workflows.run_report import report
from orchestrator.client.views import WorkflowView
from orchestrator.core.state import Header


def describe_command_line() -> dict[str, Any]:
    """Exit codes by name, and of each command its arguments in order and its options."""
    codes = {name: code for name, code in vars(command_line).items() if name.startswith("EXIT_")}
    return {"exit_codes": codes, "commands": dict(_commands(cli, None, "multi-agent"))}


def _commands(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    context = click.Context(command, parent=parent, info_name=name, **command.context_settings)
    options: dict[str, str] = {}
    arguments, required = [], []
    # Not `get_params`: click keeps the help option of whoever asked a command for it first.
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            flag = parameter.is_flag or parameter.count
            options |= dict.fromkeys(
                (*parameter.opts, *parameter.secondary_opts), "flag" if flag else "value"
            )
        else:
            arguments.append(parameter.name)
        if parameter.required:
            required.append(parameter.opts[-1])
    yield name, {"arguments": arguments, "options": options, "required": required}
    if isinstance(command, click.Group):
        for one in command.list_commands(context):
            found = command.get_command(context, one)
            assert found is not None
            yield from _commands(found, context, f"{name} {one}")


def json_keys(data: Path) -> dict[str, list[str]]:
    """The paths of all keys that commands print as JSON about the history in a data folder."""
    printed = {
        "status": _run("status", data),
        "status WORKFLOW": [_run("status", data, name) for name in ("completed", "failed")],
        "events": [
            json.loads(line)
            for name in ("completed", "failed", "dead-lettered", "cancelled", "waiting")
            for line in _output("events", data, name).splitlines()
        ],
        "why": _run("why", data, "waiting"),
        "dead-letters list": _run("dead-letters list", data),
        "run": _run_summary(),
    }
    return {name: sorted(set(_paths(value, ""))) for name, value in printed.items()}


def _output(command: str, data: Path, *words: str) -> str:
    done = CliRunner().invoke(cli, [*command.split(), *words, "--data-dir", str(data), "--json"])
    assert done.exit_code == 0, done.output
    return done.stdout


def _run(command: str, data: Path, *words: str) -> Any:
    return json.loads(_output(command, data, *words))


def _run_summary() -> Any:
    header = Header("w", "plan", "make it", 0, 1.0, 0)
    texts = ("workflow_id", "status", "reason", "request", "sandbox", "branch", "commit", "store")
    values: dict[str, Any] = dict.fromkeys(Summary.__dataclass_fields__, 0) | dict.fromkeys(texts, "")
    run = FinishedRun(WorkflowView(header, ()), Summary(**{**values, "files": ()}))
    printer = click.Command("run", callback=lambda: report(run, None, as_json=True))
    return json.loads(CliRunner().invoke(printer, []).stdout)


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield f"{path}.{key}"
            yield from _paths(one, f"{path}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one, f"{path}[]")
