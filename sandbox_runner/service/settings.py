"""The settings of a sandbox host."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contracts.messages.channels import Channels
from contracts.messages.payloads import Heartbeat
from contracts.messages.sandbox import MAX_SANDBOX_MESSAGE_BYTES
from contracts.ports.sandbox import SandboxLimits
from contracts.runtime.handler import ConsumerSettings
from contracts.runtime.reading import Source
from contracts.runtime.resend import ResendPolicy
from sandbox_runner.service.admission import MOST
from sandbox_runner.service.metrics import HostMetrics

ROLE: Final = "sandbox"
"""What `status` shows for a host; no agent may have this role."""

RESEND: Final = ResendPolicy(first_seconds=1.0, most_seconds=8.0, keep_seconds=60.0, max_bytes=64_000_000)
"""A caller whose result was dropped asks again."""

_CANCEL_SECONDS: Final = 1.0
_FAREWELL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Settings of one host; times in seconds unless the name says otherwise."""

    host_id: str
    """Unique for the life of the process."""

    machine: str
    """The machine's name, for the user."""

    slots: int = 2
    """Programs at once."""

    most: SandboxLimits = MOST
    """The highest limits that a request may ask for."""

    heartbeat_seconds: float = 1.0
    lease_seconds: float = 6.0
    """Half the silence after which another host counts as dead."""

    grace_seconds: float = 7.0
    """How long running programs may go on after `stop`; at most 7, so that all is over in 10."""

    block_ms: int = 500
    metrics: HostMetrics | None = None
    """Shared by the hosts of a process; None counts nothing."""

    def worker_heartbeat(self, sequence: int) -> Heartbeat:
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

    def consumer(self, name: str, clock: Callable[[], float]) -> ConsumerSettings:
        """The settings of the host's consumer."""
        return ConsumerSettings(
            name=name,
            source=Source(
                Channels.SANDBOX_GROUP,
                self.host_id,
                [Channels.SANDBOX_REQUESTS],
                block_ms=self.block_ms,
                creates_group=True,
            ),
            channels=[Channels.SANDBOX_CONTROL, Channels.SANDBOX_HOSTS],
            slots=self.slots,
            acks_late=False,
            resend=RESEND,
            heartbeat_seconds=self.heartbeat_seconds,
            grace_seconds=self.grace_seconds,
            cancel_seconds=_CANCEL_SECONDS,
            farewell_seconds=_FAREWELL_SECONDS,
            clock=clock,
            max_bytes=MAX_SANDBOX_MESSAGE_BYTES,
        )
