"""What a caller of sandbox hosts does next: wait, ask again, or fail. No clock, no bus."""

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
    """How long a caller waits, in seconds."""

    lease: float = 6.0
    """Silence after which a host counts as dead, and a request that no host holds as lost."""

    answer: float = 15.0
    """For any host to be heard."""

    queue: float = 600.0
    """For a free slot, on top of the program's own time."""


@dataclass(slots=True)
class RepeatPace:
    """After how many seconds something is said again.

    Over a slow link a part takes long, and what is said again too soon makes all that follows later. So the
    wait doubles with each repetition, and follows how long that took which was said once (RFC 6298).
    """

    least: float
    most: float = 30.0
    seconds: float = field(init=False)
    _repeats: bool = False

    def __post_init__(self) -> None:
        self.seconds = self.least

    def repeated(self) -> None:
        """It is said again."""
        self.seconds, self._repeats = min(2 * self.seconds, self.most), True

    def arrived(self, took: float) -> None:
        """It was answered so many seconds after it was said last."""
        if not self._repeats:  # else nobody knows which one was answered
            self.seconds = min(max(self.least, 2 * took, self.seconds / 2), self.most)
        self._repeats = False


@dataclass(slots=True)
class KnownHosts:
    """The hosts as one caller has heard them; times on its monotonic clock."""

    lease: float
    """Seconds of silence after which a host counts as dead."""

    _hosts: dict[str, tuple[SandboxHost, float]] = field(default_factory=dict)

    def handle_heartbeat(self, host: SandboxHost, now: float) -> None:
        """A host lives."""
        self._hosts[host.host_id] = (host, now)

    def alive(self, now: float) -> list[SandboxHost]:
        """Those heard within the lease; the others are forgotten."""
        dead = [name for name, (_, heard) in self._hosts.items() if now - heard > self.lease]
        for name in dead:
            del self._hosts[name]
        return [host for host, _ in self._hosts.values()]

    def believes(self, host_id: str, request_id: str, now: float) -> bool:
        """Tell whether a result may be this host's: it is heard, and no other says that it has the request.

        A host lists what it has until its result is confirmed, and sends that again until then.
        """
        hosts = self.alive(now)
        holders = {host.host_id for host in hosts if request_id in host.held}
        return host_id in (holders or {host.host_id for host in hosts})


@dataclass(slots=True)
class WaitingRequest:
    """One request that has no result yet; times on the caller's monotonic clock."""

    request_id: str
    since: float
    """When the caller asked for it."""

    deadline: float
    published: float | None = None
    """When it was sent last."""

    held: float | None = None
    """When a host was last heard to hold it."""

    handed_back: bool = False
    """Whether a host said that it will not finish it, after it was sent last."""

    heard: float = 0.0
    """When any host was heard last."""

    def note(self, host: SandboxHost, now: float) -> None:
        """A host has just said what it holds."""
        self.heard = now
        if self.request_id in host.held:
            self.held = now
        if self.request_id in host.handed_back:
            self.handed_back = True

    def step(self, hosts: list[SandboxHost], timeouts: CallTimeouts, now: float) -> Step:
        """What to do now; `hosts` are those alive."""
        if now >= self.deadline:
            return Step.TOO_LATE
        if not hosts and now - max(self.since, self.heard) > timeouts.answer:
            return Step.NOBODY
        if self.published is None or self.handed_back:
            return Step.PUBLISH
        lost = now - max(self.published, self.held or 0.0) > timeouts.lease
        return Step.PUBLISH if lost and any(host.running < host.slots for host in hosts) else Step.WAIT

    def was_published(self, now: float) -> None:
        """It has just been sent."""
        self.published, self.handed_back = now, False
