"""A private PostgreSQL for tests."""

from __future__ import annotations

from pathlib import Path

from contracts.base.errors import NotConfigured
from multi_agent.chaos.services import postgres
from tests.support import need


def postgres_programs() -> Path:
    """The folder with initdb and postgres; skips (fails in CI) when there is none."""
    try:
        return postgres.postgres_programs()
    except NotConfigured as error:
        need(condition=False, reason=str(error))
        raise


class PrivatePostgres(postgres.PrivatePostgres):
    """A server for tests, which are skipped (fail in CI) where it is not installed."""

    def __init__(self) -> None:
        postgres_programs()
        super().__init__()
