"""Runs model-written programs in sandboxes: one port, several backends."""

from __future__ import annotations

from sandbox_runner.choose import choose_sandbox, survey
from sandbox_runner.engine.settings import BackendStatus, SandboxSettings
from sandbox_runner.facade import SandboxHandle, SandboxRunner

__all__ = [
    "BackendStatus",
    "SandboxHandle",
    "SandboxRunner",
    "SandboxSettings",
    "choose_sandbox",
    "survey",
]
