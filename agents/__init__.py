"""Workers and the agents that ship.

What a package with agents of its own needs is here; `agents.worker` is for those who start workers.
`ArchitectAgent`, `CoderAgent` and `TesterAgent` are for callers without asyncio (multi_agent.facade.agents).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.base.provided import provided

__all__ = ["AgentResult", "ArchitectAgent", "CoderAgent", "Task", "TesterAgent", "agent"]

__getattr__: Callable[[str], Any] = provided(__name__, "ArchitectAgent", "CoderAgent", "TesterAgent")
