"""The orchestrator: decides, stores, dispatches.

`Orchestrator` is for callers without asyncio (multi_agent.facade.orchestrator).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.base.provided import provided

__all__ = ["Orchestrator"]

__getattr__: Callable[[str], Any] = provided(__name__, "Orchestrator")
