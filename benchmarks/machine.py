"""Describes the machine and the programs of a run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.services import ROOT

_PACKAGES: Final = (
    "pydantic",
    "sqlalchemy",
    "redis",
    "hiredis",
    "psycopg",
    "celery",
    "dramatiq",
    "taskiq",
    "taskiq-redis",
    "arq",
    "huey",
    "faststream",
    "dbos",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "prefect",
    "jsonschema",
)


def machine() -> dict[str, str]:
    """Return name -> version or description of the machine, the programs and the packages."""
    cpu, memory = "unknown", 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    found = {
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before the start": f"{os.getloadavg()[0]:.2f}",
        "Python": f"{platform.python_version()} in {sys.base_prefix}",
        "SQLite": _sqlite(),
        "Redis": _said(["redis-server", "--version"]),
        "PostgreSQL": _said(["postgres", "--version"]),
        "Git": _said(["git", "--version"]),
        "commit": _said(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
    }
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _sqlite() -> str:
    import sqlite3  # noqa: PLC0415 - only here

    return sqlite3.sqlite_version


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "not found on the PATH"
    return done.stdout.strip().splitlines()[0][:80] if done.stdout.strip() else "unknown"
