"""What a caller of sandbox hosts does next: wait on, ask again, or give up. No clock, no bus."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from contracts.messages.sandbox import SandboxHost


class Step(Enum):
    """What to do about a request that has no result yet."""

    WAIT = auto()
    PUBLISH = auto()
    NOBODY = auto()
    TOO_LATE = auto()


@dataclass(frozen=True, slots=True)
class CallTimeouts:
    """How long a caller waits, in seconds.

    lease: silence after which a host counts as dead, and a request that nobody holds as lost.
    answer: for any host to be heard. queue: for a free slot, on top of the program's own time.
    """

    lease: float = 6.0
    answer: float = 15.0
    queue: float = 600.0


@dataclass(slots=True)
class Known:
    """The hosts as one caller has heard them; times on its monotonic clock."""

    lease: float
    _hosts: dict[str, tuple[SandboxHost, float]] = field(default_factory=dict)

    def hear(self, host: SandboxHost, now: float) -> None:
        self._hosts[host.host_id] = (host, now)

    def alive(self, now: float) -> list[SandboxHost]:
        """Those heard within the lease; the others are forgotten."""
        dead = [name for name, (_, heard) in self._hosts.items() if now - heard > self.lease]
        for name in dead:
            del self._hosts[name]
        return [host for host, _ in self._hosts.values()]


@dataclass(slots=True)
class Waiting:
    """One request: when it was asked for, published last, and last held by somebody."""

    request_id: str
    since: float
    deadline: float
    published: float | None = None
    held: float | None = None
    given_back: bool = False
    heard: float = 0.0

    def note(self, host: SandboxHost, now: float) -> None:
        """Take in what a host has just said."""
        self.heard = now
        if self.request_id in host.held:
            self.held = now
        if self.request_id in host.given_back:
            self.given_back = True

    def step(self, hosts: list[SandboxHost], timeouts: CallTimeouts, now: float) -> Step:
        """What to do now, the living hosts being these."""
        if now >= self.deadline:
            return Step.TOO_LATE
        if not hosts and now - max(self.since, self.heard) > timeouts.answer:
            return Step.NOBODY
        if self.published is None or self.given_back:
            return Step.PUBLISH
        lost = now - max(self.published, self.held or 0.0) > timeouts.lease
        return Step.PUBLISH if lost and any(host.running < host.slots for host in hosts) else Step.WAIT

    def was_published(self, now: float) -> None:
        self.published, self.given_back = now, False
