"""Runs model-written programs in sandboxes: one port, several backends.

`SandboxRunner` is for callers without asyncio (multi_agent.facade.sandbox).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.base.provided import provided
from sandbox_runner.choose import choose_sandbox, survey, survey_until_ready
from sandbox_runner.engine.settings import BackendStatus, SandboxSettings

__all__ = [
    "BackendStatus",
    "SandboxRunner",
    "SandboxSettings",
    "choose_sandbox",
    "survey",
    "survey_until_ready",
]

__getattr__: Callable[[str], Any] = provided(__name__, "SandboxRunner")
