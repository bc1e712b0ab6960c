"""Which sandboxes can be used: those of this machine, or hosts on the bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from contracts.base.errors import MultiAgentError, NotConfigured
from contracts.messages.sandbox import SandboxHost
from contracts.ports.bus import MessageBus
from multi_agent.application.doctor import Finding
from sandbox_runner import BackendStatus
from sandbox_runner.service.remote import NO_HOST, find_hosts


@dataclass(frozen=True, slots=True)
class SandboxChoice:
    """The sandbox that will be used."""

    chosen: BackendStatus
    stronger: BackendStatus | None
    """The strongest one that is not ready; None when the chosen one is the strongest."""


def choose_ready(found: Sequence[BackendStatus], wanted: Collection[str]) -> SandboxChoice:
    """Choose the first ready one of `found`, which are sorted from the strongest on.

    wanted: names that may be chosen, all when "auto" is among them. Raises NotConfigured when none is ready.
    """
    usable = [one for one in found if "auto" in wanted or one.name in wanted]
    ready = next((one for one in usable if one.ready), None)
    if ready is None:
        why = "\n".join(f"  {one.name}: {one.reason}; {one.how_to_get}" for one in usable)
        raise NotConfigured(f"no sandbox is ready, and code never runs without one:\n{why}")
    stronger = [one for one in usable[: usable.index(ready)] if not one.ready]
    return SandboxChoice(ready, stronger[0] if stronger else None)


async def examine_backends(
    survey: Callable[[], Awaitable[Sequence[BackendStatus]]], wanted: str
) -> list[Finding]:
    """Examine the backends of this machine; the last finding says which one will be used."""
    found = await survey()
    lines = [
        Finding(
            f"sandbox: {one.name}", one.ready, one.reason if one.ready else f"{one.reason}; {one.how_to_get}"
        )
        for one in found
    ]
    usable = [one.name for one in found if one.ready and wanted in {"auto", one.name}]
    chosen = f"{usable[0]} will be used" if usable else "none is ready; code never runs without one"
    return [*lines, Finding("sandbox", bool(usable), chosen, needed=True)]


async def examine_hosts(open_bus: Callable[[], MessageBus], listen_seconds: float) -> list[Finding]:
    """Listen for sandbox hosts on the bus."""
    bus = open_bus()
    try:
        hosts = await find_hosts(bus, listen_seconds)
    except MultiAgentError as error:
        return [Finding("sandbox hosts", False, str(error), needed=True)]
    finally:
        await bus.close()
    shown = ", ".join(map(_shown, hosts))
    return [Finding("sandbox hosts", bool(hosts), shown or str(NO_HOST), needed=True)]


def _shown(host: SandboxHost) -> str:
    opens = "no workspaces" if host.workspaces is None else f"workspaces, room for {host.workspaces}"
    return f"{host.backend} on {host.machine} ({host.slots} slots, {opens})"
