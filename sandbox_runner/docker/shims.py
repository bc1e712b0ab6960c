"""Ending what an engine left that was killed while it started a container.

Beside every container runs a process of the engine, its shim. An engine that has made one, and has not yet
written down that the container runs, later takes the container for a new one; it can neither start it, for
the shim is in the way, nor end the shim. When the shim dies, it removes all that belongs to it. We have only
the engine's socket, so a container that sees the host's processes has to end the shim.
"""

from __future__ import annotations

import contextlib

import docker

from sandbox_runner.engine.payload import MEGABYTE

# Its argument is the container's id, as it is one of the shim's.
_END_SHIM = """\
import os, signal, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            program, *words = file.read().split(b"\\0")
        if os.path.basename(program).startswith(b"containerd-shim") and sys.argv[1].encode() in words:
            os.kill(int(pid), signal.SIGKILL)
    except OSError:
        pass
"""
_MEMORY = 64 * MEGABYTE
_SECONDS = 30


def end_shim(client: docker.APIClient, name: str) -> None:
    """End the shim of a container that does not start, if there is one. Raises the SDK's errors.

    What ends it has the same image, and the same labels, so that it is removed too should we die meanwhile.
    """
    stuck = client.inspect_container(name)
    host_config = client.create_host_config(
        pid_mode="host",
        userns_mode="host",
        network_mode="none",
        ipc_mode="none",
        read_only=True,
        cap_drop=["ALL"],  # root needs none to end what is root's, but AppArmor would not let it
        security_opt=["no-new-privileges:true", "apparmor=unconfined"],
        mem_limit=_MEMORY,
        memswap_limit=_MEMORY,
        log_config=docker.types.LogConfig(type="none"),
        init=False,
    )
    helper = client.create_container(
        stuck["Image"],
        entrypoint=["python3", "-I", "-S", "-c", _END_SHIM],
        command=[stuck["Id"]],
        user="0:0",
        labels=stuck["Config"]["Labels"],
        host_config=host_config,
    )
    try:
        client.start(helper["Id"])
        client.wait(helper["Id"], timeout=_SECONDS)
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            client.remove_container(helper["Id"], v=True, force=True)
