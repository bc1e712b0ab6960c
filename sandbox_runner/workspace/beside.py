"""What of an environment is tried or started before the first command: programs, and services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.base.errors import EnvironmentFailed, NotConfigured
from contracts.base.processes.command_lines import command_line
from contracts.base.text import visible_line
from contracts.ports.workspace import Service
from sandbox_runner.workspace.session import GuestSession

FOLDER: Final = "/tmp/services"  # noqa: S108 - inside
"""Where each service has a folder of its own, and what it prints: in the file `log` of that."""
_SECONDS: Final = 30.0
_ORDINARY: Final = 1_000


async def start_services(
    session: GuestSession, services: Sequence[Service], limits: Mapping[str, Any]
) -> None:
    """Start them, and wait until they can be used. Raises EnvironmentFailed, SandboxUnavailable."""
    plans = [
        {"name": one.name, "argv": one.argv, "ready": one.ready, "log": f"{FOLDER}/{one.name}/log"}
        for one in services
    ]
    command = {"services": plans, "seconds": _SECONDS, "limits": limits}
    started = await session.ask(command, b"", seconds=_SECONDS, most=_ORDINARY)
    for name, why in (started.result or {})["failed"].items():
        raise EnvironmentFailed(
            f"service {name}: {visible_line(why)}; mend what it says, or take it out of `services` in the "
            "repository's settings"
        )


async def try_programs(
    session: GuestSession, commands: Sequence[Sequence[str]], limits: Mapping[str, Any]
) -> None:
    """Run commands of which each must succeed. Raises NotConfigured, SandboxUnavailable."""
    for argv in commands:
        bounds = {**limits, "wall_seconds": _SECONDS}
        tried = await session.ask({"argv": argv, "limits": bounds}, b"", seconds=_SECONDS, most=_ORDINARY)
        if (tried.result or {}).get("code") != 0:
            said = (tried.stderr or tried.stdout).decode("utf-8", "replace").strip().splitlines()
            raise NotConfigured(
                f"{argv[0]} of this machine does not run in the container: "
                f"{visible_line(said[-1]) if said else 'it printed nothing'}; set "
                "MULTI_AGENT_SANDBOX=bubblewrap, build an image of this machine's release "
                f"({command_line('sandbox', 'build', '--from', 'debian')}), or set "
                "MULTI_AGENT_ENVIRONMENT=none to go without it"
            )
