"""Both databases, each test with a fresh one."""

from __future__ import annotations

from tests.orchestrator.conftest import database, database_url, postgres

__all__ = ["database", "database_url", "postgres"]
