"""The holder's side: which hosts there are, and leases at them.

Signs of life go to the host as long as a workspace is held, and a host that falls silent has lost it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from contracts.base.errors import BusUnavailable, NotPermitted, SandboxUnavailable
from contracts.base.processes.command_lines import Advice
from contracts.messages.channels import Channels
from contracts.messages.events import TaskEvent
from contracts.messages.sandbox import MAX_SANDBOX_MESSAGE_BYTES, SandboxHost
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from contracts.ports.bus import MessageBus
from contracts.runtime.subscription import RENEW_USERS, SubscriptionLoop
from sandbox_runner.service.call_policy import CallTimeouts, KnownHosts
from sandbox_runner.service.messages import Messages
from sandbox_runner.service.remote import NO_HOST
from sandbox_runner.service.workspaces.lease import Lease

NO_WORKSPACES: Final = Advice(
    "no sandbox host opens workspaces: one does that knows the artifact store; set "
    "MULTI_AGENT_ARTIFACT_STORE to its URL for one, and start it",
    ("worker", "--role", "sandbox"),
)
_LOOK_SECONDS: Final = 0.1
_SILENCES: Final = 2
"""Leases of silence after which a host counts as dead, with the workspaces in it."""
_log = structlog.get_logger(__name__)


class HostLink:
    """What one process hears of hosts, and its leases there."""

    def __init__(
        self,
        bus: MessageBus,
        caller_id: str,
        *,
        timeouts: CallTimeouts | None = None,
        owned: bool = False,
    ) -> None:
        """`caller_id` is unique for the life of the process; `owned`: whether `close` closes the bus too."""
        self._bus, self.caller_id, self._owned = bus, caller_id, owned
        self.timeouts = timeouts or CallTimeouts()
        self._messages = Messages(f"workspace-holder/{caller_id}", time.time)
        self._known = KnownHosts(self.timeouts.lease * _SILENCES)
        self._leases: dict[str, Lease] = {}
        self._jobs: list[asyncio.Task[None]] = []
        self._listening = SubscriptionLoop(
            bus,
            [Channels.sandbox_results(caller_id), Channels.SANDBOX_HOSTS],
            self._hear,
            MAX_SANDBOX_MESSAGE_BYTES,
        )

    async def offered(self) -> bool:
        """Whether a host opens workspaces. Raises SandboxUnavailable when no host is heard in time."""
        return any(host.workspaces is not None for host in await self._hosts())

    async def lease(self, worth: Callable[[str], int | None], *, brief: bool = False) -> Lease | None:
        """A lease at a host with room: the one that is worth most; among equals, the one with most room.

        worth: by a host's id; None for one that is not asked. There is no lease where all are such ones.
        brief: see Workspaces.open.

        Raises SandboxUnavailable when no host opens workspaces, or none has room in time.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.timeouts.queue
        while True:
            opening = [host for host in await self._hosts() if host.workspaces is not None]
            if not opening:
                raise SandboxUnavailable(str(NO_WORKSPACES))
            asked = [(value, host) for host in opening if (value := worth(host.host_id)) is not None]
            if not asked:
                return None
            rooms = [(value, _rooms(host, brief), host.host_id) for value, host in asked]
            if free := [one for one in rooms if one[1]]:
                return self._hold(max(free)[-1], brief)
            if clock() > deadline:
                raise SandboxUnavailable("the sandbox hosts have no room for one more workspace")
            await asyncio.sleep(_LOOK_SECONDS)

    def release(self, workspace_id: str) -> None:
        """Hear no more of a workspace."""
        self._leases.pop(workspace_id, None)

    def hears(self, host_id: str) -> bool:
        """Whether a host lives."""
        return any(host.host_id == host_id for host in self._known.alive(_now()))

    async def send(self, host_id: str, order: WorkspaceOrder) -> None:
        """Tell a host; what is lost is told again. Raises NotPermitted, which no repetition mends."""
        try:
            await self._bus.broadcast([self._messages.workspace_order(host_id, order)])
        except NotPermitted as error:
            raise NotPermitted(f"{error}; {RENEW_USERS}") from None
        except BusUnavailable as error:
            _log.info("workspace_order_lost", host_id=host_id, reason=str(error))

    async def close(self) -> None:
        """Stop listening. Call it when no lease is held."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs.clear()
        if self._owned:
            await self._bus.close()

    async def _hosts(self) -> list[SandboxHost]:
        if not self._jobs:
            jobs = (self._listening.run(), self._stay_alive())
            self._jobs = [asyncio.create_task(job) for job in jobs]
        deadline = _now() + self.timeouts.answer
        while not (hosts := self._known.alive(_now())):
            if _now() > deadline:
                raise SandboxUnavailable(str(NO_HOST))
            await asyncio.sleep(_LOOK_SECONDS)
        return hosts

    def _hold(self, host_id: str, brief: bool) -> Lease:
        lease = Lease(self, host_id, brief=brief)
        self._leases[lease.workspace_id] = lease
        return lease

    async def _stay_alive(self) -> None:
        while True:
            await asyncio.sleep(self.timeouts.lease / 3)
            for lease in list(self._leases.values()):
                with suppress(NotPermitted):
                    await self.send(lease.host_id, lease.order("alive"))

    async def _hear(self, event: TaskEvent[Any]) -> None:
        if isinstance(event.data, SandboxHost):
            self._known.handle_heartbeat(event.data, _now())
        elif isinstance(event.data, WorkspaceAnswer):
            # Repeated answers may come when all is over.
            if (lease := self._leases.get(event.data.workspace_id)) is None:
                return
            if lease.host_id != event.data.host_id:
                _log.warning("answer_not_believed", host_id=event.data.host_id)
            else:
                lease.hear(event.data)


def _rooms(host: SandboxHost, brief: bool) -> int:
    of_these = host.lasting_workspaces
    return (host.workspaces if brief or of_these is None else of_these) or 0


def _now() -> float:
    return asyncio.get_running_loop().time()
