"""Workers and the agents that ship.

What a package with agents of its own needs is here; `agents.worker` and `agents.registry` are for those who
start workers.
"""

from __future__ import annotations

from agents.registry import agent
from agents.result import AgentResult
from agents.task import Task

__all__ = ["AgentResult", "Task", "agent"]
