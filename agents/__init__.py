"""Workers and the agents that ship.

What a package with agents of its own needs is here; `agents.worker` is for those who start workers.
"""

from __future__ import annotations

from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task

__all__ = ["AgentResult", "Task", "agent"]
