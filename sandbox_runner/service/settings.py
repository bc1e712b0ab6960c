"""What a sandbox host is told."""

from __future__ import annotations

import os
from dataclasses import dataclass

from contracts.messages.events import Heartbeat
from contracts.ports.sandbox import SandboxLimits
from sandbox_runner.service.admission import MOST
from sandbox_runner.service.metrics import HostMetrics

ROLE = "sandbox"
"""What `status` shows for a host; no agent may have this role."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Settings of one host; times in seconds unless the name says otherwise.

    host_id: unique for the life of the process. machine: its name, for people. slots: programs at once.
    most: the highest limits that a request may ask for.
    lease_seconds: half the silence after which another host counts as dead.
    grace_seconds: how long running programs may go on after `stop`; at most 7, so that all is over in 10.
    metrics: shared by the hosts of a process; None counts nothing.
    """

    host_id: str
    machine: str
    slots: int = 2
    most: SandboxLimits = MOST
    presence_seconds: float = 1.0
    lease_seconds: float = 6.0
    grace_seconds: float = 7.0
    block_ms: int = 500
    metrics: HostMetrics | None = None

    def heartbeat(self, sequence: int) -> Heartbeat:
        """What orchestrators hear, so that `status` shows the host; it serves no stream of theirs."""
        return Heartbeat(
            worker_id=self.host_id,
            host=self.machine,
            pid=os.getpid(),
            roles=(ROLE,),
            streams=(),
            slots=self.slots,
            sequence=sequence,
        )
