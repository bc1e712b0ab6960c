"""Ends the shim that an engine left behind when it was killed while it started a container.

The engine runs a process beside every container, its shim. If the engine is killed after it has started the
shim and before it has recorded that the container runs, it later takes the container for a new one. It can
then neither start the container, because the shim exists already, nor end the shim. A shim that dies removes
everything that belongs to it. We have only the engine's socket, so the shim is killed from a container that
sees the host's processes.
"""

from __future__ import annotations

import contextlib

import docker

from sandbox_runner.engine.payload import MEGABYTE

# Its argument is the id of the container, which is also an argument of the shim.
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
    """Kill the shim of a container that does not start, if there is one. Raises the SDK's errors.

    The helper container that does it has the same image and the same labels, so that it is removed as an
    orphan as well if this process dies meanwhile.
    """
    stuck = client.inspect_container(name)
    host_config = client.create_host_config(
        pid_mode="host",
        userns_mode="host",
        network_mode="none",
        ipc_mode="none",
        read_only=True,
        cap_drop=["ALL"],  # root needs none to kill a process of root, but AppArmor would forbid it
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
