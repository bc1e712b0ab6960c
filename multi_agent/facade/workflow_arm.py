"""Multi-agent as an arm of a TrafficSplitter, by settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from multi_agent.application.rollouts.arm import WorkflowArm
from multi_agent.bootstrap import (
    make_artifacts,
    make_client,
    make_model,
    make_planner,
    open_current_database,
)
from multi_agent.facade.options import settings_from


@asynccontextmanager
async def workflow_arm(**options: Any) -> AsyncIterator[WorkflowArm]:
    """An arm whose `run` hands each request to what serves the data folder (`multi-agent up`).

    options: fields of Settings, such as data_dir, model. Raises InvalidInput and NotConfigured.
    """
    settings = settings_from(options)
    database = await open_current_database(settings)
    planner = make_planner(settings, make_model(settings))
    store = make_artifacts(settings)
    try:
        yield WorkflowArm(make_client(settings, database), planner, store, settings.artifacts)
    finally:
        await store.close()
        await planner.close()
        await database.close()
