"""What the commands of delivery have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from contracts.base.printing import print_line
from multi_agent.application.delivery.delivered import Delivered, find_delivered
from multi_agent.application.ends.unmoved import check_unmoved
from multi_agent.cli.workflows.offer_text import offer_lines
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from orchestrator.client.workflow_client import WorkflowClient


class OpenedWork(NamedTuple):
    """What a workflow has to give, and where it is."""

    client: WorkflowClient
    store: GitArtifactStore
    delivered: Delivered


to_option = click.option(
    "--repo",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Your repository, or a folder of it. [default: this folder]",
)


@asynccontextmanager
async def opened(settings: Settings, name: str | None) -> AsyncIterator[OpenedWork]:
    """Open the store and find what a workflow has to give; say on stderr what is not verified."""
    async with open_client(settings) as client:
        delivered = await find_delivered(client, name)
        for line in offer_lines(delivered.offered) if delivered.offered else ():
            print_line(line, err=True)
        async with open_artifacts(settings) as store:
            await check_unmoved(store, delivered.branch, delivered.commit)
            yield OpenedWork(client, store, delivered)


def about(delivered: Delivered) -> dict[str, object]:
    """What JSON says of it first."""
    return {
        "workflow_id": delivered.workflow_id,
        "base": delivered.base,
        "commit": delivered.commit,
        "completed": delivered.completed,
    }
