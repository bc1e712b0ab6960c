"""Everything for callers without asyncio: thin, over the asynchronous parts.

The packages offer these names as their own (`from orchestrator import Orchestrator`) through the entry-point
group `multi_agent.services`; a type checker knows them when they are imported from here. An option that a
constructor takes is a field of multi_agent.settings.Settings and wins over the environment.
"""
