"""`multi-agent sandbox`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import click

from multi_agent.bootstrap import sandbox_settings
from multi_agent.cli import EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from multi_agent.cli.common import data_dir_option, json_option, print_json, settings_of

if TYPE_CHECKING:
    from sandbox_runner import SandboxSettings
    from sandbox_runner.probe_report import BackendReport


@click.group()
def sandbox() -> None:
    """Manage what programs run in."""


@sandbox.command()
@click.option(
    "--from",
    "source",
    type=click.Choice(["registry", "debian"]),
    default="registry",
    show_default=True,
    help="The usual base image, or Debian packages where no registry can be reached (needs mmdebstrap).",
)
@data_dir_option
def build(source: Literal["registry", "debian"], **options: object) -> None:
    """Build the container image, so that the Docker sandbox is used from now on."""
    from sandbox_runner.docker.image import build_image  # noqa: PLC0415 - heavy

    settings = sandbox_settings(settings_of(**options))
    asyncio.run(build_image(settings, source))
    click.echo(f"image {settings.image} is ready")


@sandbox.command()
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
    from multi_agent.cli.sandbox_report import show  # noqa: PLC0415 - heavy
    from sandbox_runner.probe_report import PROBES  # noqa: PLC0415 - heavy

    if list_probes:
        for name, must in PROBES.items():
            click.echo(f"{name:30} {must}")
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
    from multi_agent.cli.sandbox_report import Progress  # noqa: PLC0415 - heavy
    from sandbox_runner.engine.settings import BACKENDS  # noqa: PLC0415 - heavy
    from sandbox_runner.probe_report import try_backend  # noqa: PLC0415 - heavy

    reports = []
    for name in (backend,) if backend else BACKENDS:
        with Progress(name) as progress:
            reports.append(await try_backend(name, settings, probes, progress.tell))
    return reports
