"""Where an engine may listen on this machine; without the SDK, which is slow to import."""

from __future__ import annotations

import os

from contracts.base.errors import NotConfigured, SandboxUnavailable

_UNIX = "unix://"


def socket_paths(docker_host: str | None) -> list[str]:
    """The sockets that exist, of those that are set or usual. Raises SandboxUnavailable without any.

    Raises NotConfigured when `docker_host` names no socket of this machine.
    """
    if docker_host:
        if not docker_host.startswith(_UNIX):
            raise NotConfigured(
                f"DOCKER_HOST is {docker_host!r}; it must be a unix:// address of this machine"
            )
        candidates = [docker_host.removeprefix(_UNIX)]
    else:
        candidates = ["/var/run/docker.sock", f"/run/user/{os.geteuid()}/docker.sock"]
    found = [path for path in candidates if os.path.exists(path)]
    if not found:
        missing = "; ".join(f"{path} does not exist" for path in candidates)
        raise SandboxUnavailable(f"no engine answers: {missing}")
    return found
