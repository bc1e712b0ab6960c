"""Makes baselines: for who asks, and beside planning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.sdk.baselines import save_baseline
from contracts.base.errors import MultiAgentError
from contracts.ports.workspace import NO_ENVIRONMENT
from multi_agent.application.baselines import BaselineCache, BaselineMaker
from multi_agent.application.bases import RepositoryBase
from multi_agent.bootstrap import make_environments, open_workspaces
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from contracts.documents.baseline import Baseline

_FOLDER = "baselines"


async def baseline_of(
    settings: Settings, artifacts: GitArtifactStore, base: RepositoryBase, say: Callable[[str], None]
) -> Baseline:
    """The baseline of a repository in the store, in its environment, which is made first where there is none.

    Raises as BaselineMaker.make and Environments.prepare.
    """
    assert base.commit is not None
    workspaces = open_workspaces(settings, artifacts)
    try:
        maker = BaselineMaker(
            artifacts,
            workspaces,
            BaselineCache(settings.data / _FOLDER),
            settings.baseline_seconds,
            settings.max_repository_files,
        )
        async with make_environments(settings, artifacts, workspaces).prepare(base.commit, say) as prepared:
            return await maker.make(base, prepared.environment if prepared else NO_ENVIRONMENT)
    finally:
        await workspaces.close()


class BaselineBeside:
    """A baseline that is made while others plan, and kept with their workflow as soon as both are there.

    Nobody waits for it, and what it meets is told and stops nothing.
    """

    def __init__(self, artifacts: GitArtifactStore, say: Callable[[str], None]) -> None:
        self._artifacts, self._say = artifacts, say
        self._making: asyncio.Task[Baseline | None] | None = None
        self._keeping: asyncio.Task[None] | None = None

    def start(self, settings: Settings, base: RepositoryBase) -> None:
        """Begin, where there is a repository and the settings leave time."""
        if base.commit is not None and settings.baseline_seconds:
            self._making = asyncio.create_task(self._make(settings, base))

    def keep(self, workflow_id: str) -> None:
        """Keep it with a workflow that is stored."""
        if self._making is not None:
            self._keeping = asyncio.create_task(self._keep(self._making, workflow_id))

    async def stop(self) -> None:
        """End what has not ended."""
        jobs = [job for job in (self._keeping, self._making) if job is not None]
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _make(self, settings: Settings, base: RepositoryBase) -> Baseline | None:
        try:
            made = await baseline_of(settings, self._artifacts, base, self._say)
        except MultiAgentError as error:
            self._say(f"baseline: not known: {error}")
            return None
        self._say(f"baseline: {made.sentence}")
        return made

    async def _keep(self, making: asyncio.Task[Baseline | None], workflow_id: str) -> None:
        made = await making
        if made is None:
            return
        try:
            await save_baseline(self._artifacts, workflow_id, made)
        except MultiAgentError as error:
            self._say(f"baseline: workers are not told: {error}")
