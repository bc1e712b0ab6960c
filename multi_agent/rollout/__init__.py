"""A rollout that measures: traffic goes over from a program's own agent to ours in stages, and back."""

from multi_agent.rollout.records import ArmAnswer, LegacyOnly
from multi_agent.rollout.splitter import TrafficSplitter

__all__ = ["ArmAnswer", "LegacyOnly", "TrafficSplitter"]
