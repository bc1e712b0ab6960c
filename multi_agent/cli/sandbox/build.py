"""`multi-agent sandbox build`."""

from __future__ import annotations

import asyncio
from typing import Literal

import click

from contracts.base.printing import print_line
from multi_agent.bootstrap import sandbox_settings
from multi_agent.cli.options import data_dir_option, settings_of
from sandbox_runner.docker.image import build_image


@click.command()
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
    settings = sandbox_settings(settings_of(**options))
    asyncio.run(build_image(settings, source))
    print_line(f"image {settings.image} is ready")
