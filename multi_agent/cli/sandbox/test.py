"""`multi-agent sandbox test`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from multi_agent.bootstrap import sandbox_settings
from multi_agent.cli import EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from multi_agent.cli.options import data_dir_option, json_option, settings_of
from multi_agent.cli.sandbox.report import ProbeProgress, show
from sandbox_runner import SandboxSettings
from sandbox_runner.engine.settings import BACKENDS
from sandbox_runner.probe_report import PROBES, BackendReport, try_backend


@click.command()
@click.option(
    "--backend",
    type=click.Choice(["docker", "bubblewrap", "namespaces"]),
    help="Only this one. [default: every one that can be had here]",
)
@click.option("--probe", "probes", multiple=True, metavar="NAME", help="Only this probe; repeatable.")
@click.option("--list", "list_probes", is_flag=True, help="Print the probes, and run nothing.")
@data_dir_option
@json_option
def test(
    backend: str | None, probes: tuple[str, ...], list_probes: bool, as_json: bool, **options: object
) -> int:
    """Try to get out of the sandboxes of this machine, and to use up what they limit.

    Each probe is a program that must fail in a certain way. Takes about a minute for a backend, and three at
    most; nothing of this machine is changed. Exit code 0: all as it must be, 1: something differs, 2: no
    sandbox can be had.
    """
    if list_probes:
        for name, must in PROBES.items():
            print_line(f"{name:30} {must}")
        return EXIT_DONE
    settings = sandbox_settings(settings_of(**options))
    reports = asyncio.run(_try(settings, backend, probes))
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        show(reports)
    if not any(report.tried for report in reports):
        return EXIT_USAGE
    return EXIT_FAILED if any(report.different for report in reports) else EXIT_DONE


async def _try(
    settings: SandboxSettings, backend: str | None, probes: tuple[str, ...]
) -> list[BackendReport]:
    reports = []
    for name in (backend,) if backend else BACKENDS:
        with ProbeProgress(name) as progress:
            reports.append(await try_backend(name, settings, probes, progress.tell))
    return reports
