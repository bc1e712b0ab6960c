"""How the parts that `doctor` examines are reached."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from contracts.base.errors import NotConfigured
from multi_agent.application.data_folder import check_data_folder
from multi_agent.application.doctor import Examined, Finding
from multi_agent.application.sandboxes import examine_backends, examine_hosts
from multi_agent.bootstrap import (
    HOST,
    check_model,
    connect_bus,
    make_bus,
    make_database,
    make_model,
    model_settings,
    sandbox_settings,
)
from multi_agent.embedded.probe import probe_redis
from multi_agent.models import price_lines
from multi_agent.settings import Settings
from sandbox_runner import survey


def make_examined(settings: Settings) -> Examined:
    """What these settings use."""
    return Examined(
        git=shutil.which("git", path=settings.search_path),
        database_kind=settings.database.partition(":")[0],
        connect_bus=partial(connect_bus, settings) if settings.redis_url is not None else None,
        data_folder=_data_folder(settings.data),
        open_database=partial(make_database, settings) if _has_database(settings) else None,
        open_model=partial(make_model, settings),
        check_model=partial(check_model, settings),
        price_lines=lambda: price_lines(model_settings(settings)),
        find_redis=partial(_find_redis, settings.search_path),
        find_sandboxes=partial(_find_sandboxes, settings),
        model_is_a_recording=settings.model_spec == "replay",
    )


def _find_redis(search_path: str) -> list[Finding]:
    return [Finding(f"redis: {one.name}", one.found, one.detail) for one in probe_redis(search_path)]


def _has_database(settings: Settings) -> bool:
    return settings.database_url is not None or (settings.data / "state.db").exists()


def _data_folder(folder: Path) -> Finding:
    """Whether it can be written, or made; it is not made."""
    try:
        exists = check_data_folder(folder)
    except NotConfigured as error:
        return Finding("data folder", False, str(error), needed=True)
    return Finding("data folder", True, str(folder) if exists else f"{folder}, made when needed", needed=True)


async def _find_sandboxes(settings: Settings) -> Sequence[Finding]:
    if settings.sandbox == HOST and settings.redis_url is not None:
        return await examine_hosts(partial(make_bus, settings), settings.lease_seconds / 2)
    with tempfile.TemporaryDirectory(prefix="multi-agent-doctor-") as folder:
        wanted = sandbox_settings(settings.model_copy(update={"data_dir": Path(folder)}))
        return await examine_backends(partial(survey, wanted), wanted.backend)
