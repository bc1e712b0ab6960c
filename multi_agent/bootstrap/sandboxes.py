"""Sandboxes of this machine, and hosts for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from contracts.ports.bus import MessageBus
from contracts.ports.sandbox import Sandbox, SandboxLimits
from multi_agent.bootstrap.services import host_name
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from sandbox_runner import SandboxSettings
    from sandbox_runner.choose import Backend, FirstUseSandbox
    from sandbox_runner.service.host import Host
    from sandbox_runner.service.workspaces.serving import Served

# Each part is imported where it is built: the command line must not load a database to print its help.
# ruff: noqa: PLC0415

HOST = "host"
"""The value of the setting `sandbox` with which programs run at sandbox hosts."""


def sandbox_settings(settings: Settings, at_once: int | None = None) -> SandboxSettings:
    """The sandbox's part of the settings; `at_once` programs, by default as many as there are slots."""
    from sandbox_runner import SandboxSettings

    defaults = SandboxSettings()
    return SandboxSettings(
        backend=settings.host_sandbox if settings.sandbox == HOST else settings.sandbox,
        docker_host=settings.docker_host,
        image=settings.sandbox_image or defaults.image,
        runtime=settings.sandbox_runtime,
        toolbox=settings.data / "toolbox",
        max_concurrent=at_once or settings.slots,
        warm=settings.sandbox_warm,
    )


async def choose_sandbox(settings: SandboxSettings) -> Backend:
    """The strongest ready backend of this machine. Raises SandboxUnavailable without one."""
    from sandbox_runner import choose_sandbox

    return await choose_sandbox(settings)


def make_sandbox(settings: Settings, bus: MessageBus, caller_id: str, at_once: int | None = None) -> Sandbox:
    """The sandbox of a worker: of this machine, or of the hosts on the bus, which needs no engine here."""
    if settings.sandbox == HOST:
        from sandbox_runner.service.call_policy import CallTimeouts
        from sandbox_runner.service.remote import RemoteSandbox

        return RemoteSandbox(bus, caller_id, timeouts=CallTimeouts(lease=settings.lease_seconds))
    return make_own_sandbox(settings, at_once)


def make_own_sandbox(settings: Settings, at_once: int | None = None) -> FirstUseSandbox[Backend]:
    """The sandbox of this machine, chosen when it is first used."""
    from sandbox_runner.choose import FirstUseSandbox

    wanted = sandbox_settings(settings, at_once)
    return FirstUseSandbox(lambda: choose_sandbox(wanted))


def most_of_host(settings: Settings) -> SandboxLimits:
    """The highest limits that a sandbox host is asked for."""
    from sandbox_runner.service.admission import MOST

    return replace(MOST, wall_seconds=settings.sandbox_max_seconds, memory_mb=settings.sandbox_max_memory_mb)


def make_sandbox_host(
    settings: Settings, bus: MessageBus, sandbox: Sandbox, host_id: str, served: Served | None
) -> Host:
    """A sandbox host; it opens workspaces where `served` says with what."""
    from sandbox_runner.service.host import Host
    from sandbox_runner.service.metrics import HostMetrics
    from sandbox_runner.service.settings import HostSettings

    wanted = HostSettings(
        host_id,
        host_name(),
        slots=settings.slots,
        most=most_of_host(settings),
        heartbeat_seconds=settings.lease_seconds / 6,
        lease_seconds=settings.lease_seconds,
        metrics=HostMetrics(),
    )
    return Host(bus, sandbox, wanted, served)
