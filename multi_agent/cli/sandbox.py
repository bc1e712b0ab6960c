"""`multi-agent sandbox`."""

from __future__ import annotations

import asyncio
from typing import Literal

import click

from multi_agent.bootstrap import sandbox_settings
from multi_agent.cli.common import data_dir_option, settings_of


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
    from sandbox_runner.image import build_image  # noqa: PLC0415 - heavy

    settings = sandbox_settings(settings_of(**options))
    asyncio.run(build_image(settings, source))
    click.echo(f"image {settings.image} is ready")
