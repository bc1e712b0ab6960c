"""Names of streams and channels. Work travels on streams; the channel of the same name mirrors it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import StringConstraints

StreamName = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_.-]*$", max_length=250)]

SHARDS: Final = 64
"""Logical shards, fixed when a database is created; a workflow belongs to one."""


class Channels:
    """The names; methods insert the role, the shard or the id of the receiver."""

    AGENT_REQUESTS: Final = "agent.requests"
    SUSPECTS: Final = "agent.suspects"
    AGENT_RESULTS: Final = "agent.results"
    HEARTBEATS: Final = "agent.heartbeats"
    DEAD_LETTERS: Final = "agent.dead_letters"
    CONTROL: Final = "agent.control"
    WORKFLOW_EVENTS: Final = "workflow.events"
    COMMANDS: Final = "workflow.commands"
    AGENT_STEPS: Final = "agent.steps"
    SANDBOX_REQUESTS: Final = "sandbox.requests"
    SANDBOX_RESULTS: Final = "sandbox.results"
    SANDBOX_HOSTS: Final = "sandbox.hosts"
    SANDBOX_CONTROL: Final = "sandbox.control"
    SANDBOX_WORKSPACES: Final = "sandbox.workspaces"

    WORKERS_GROUP: Final = "workers"
    ORCHESTRATORS_GROUP: Final = "orchestrators"
    SANDBOX_GROUP: Final = "sandbox-hosts"

    @classmethod
    def requests(cls, role: str, tag: str | None = None) -> str:
        """The stream of tasks for `role`, or of those that require the capability `tag`."""
        return f"{cls.AGENT_REQUESTS}.{role}.{tag}" if tag else f"{cls.AGENT_REQUESTS}.{role}"

    @classmethod
    def suspects(cls, role: str, tag: str | None = None) -> str:
        """As `requests`, for tasks that a worker held when it died: each runs alone."""
        return f"{cls.SUSPECTS}.{role}.{tag}" if tag else f"{cls.SUSPECTS}.{role}"

    @classmethod
    def results(cls, shard: int) -> str:
        """The stream on which the owner of `shard` receives results."""
        return f"{cls.AGENT_RESULTS}.{shard}"

    @classmethod
    def control(cls, worker_id: str) -> str:
        """The channel on which one worker receives acknowledgements and recalls."""
        return f"{cls.CONTROL}.{worker_id}"

    @classmethod
    def steps(cls, workflow_id: str) -> str:
        """The channel on which the agents of one workflow tell each step."""
        return f"{cls.AGENT_STEPS}.{workflow_id}"

    @classmethod
    def sandbox_results(cls, caller_id: str) -> str:
        """The channel on which one caller receives the results of its programs."""
        return f"{cls.SANDBOX_RESULTS}.{caller_id}"

    @classmethod
    def sandbox_workspaces(cls, host_id: str) -> str:
        """The channel on which one host receives what is asked of its workspaces."""
        return f"{cls.SANDBOX_WORKSPACES}.{host_id}"
