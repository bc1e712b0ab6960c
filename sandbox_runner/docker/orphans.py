"""Finds orphaned containers by their labels, and removes them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Set

import docker

from contracts.base.errors import SandboxUnavailable
from sandbox_runner.docker.api import translated
from sandbox_runner.docker.container import remove
from sandbox_runner.engine import creator

LABEL = "multi-agent.sandbox"
_OWNER, _INSTANCE, _EXPIRES = "multi-agent.owner", "multi-agent.instance", "multi-agent.expires"


def labels(instance: str, expires: float) -> dict[str, str]:
    """Return the labels of a container that the sandbox object `instance` of this process makes.

    `expires`: seconds since 1970. Later the container is an orphan if the state of its process is unknown.
    """
    return {LABEL: "1", _OWNER: creator.this_process(), _INSTANCE: instance, _EXPIRES: str(int(expires))}


def reap(client: docker.APIClient, instance: str, in_use: Set[str]) -> int:
    """Remove the orphaned containers, started or only created; return how many. Blocking.

    `in_use` are the names that `instance` still uses. Containers of running processes are kept, whatever the
    clock says. Raises SandboxUnavailable after it has tried all.
    """
    with translated("the containers cannot be listed"):
        containers = client.containers(all=True, filters={"label": f"{LABEL}=1"})
    count, failure = 0, None
    for container in containers:
        used = any(name.removeprefix("/") in in_use for name in container.get("Names") or ())
        if not _is_orphan(container.get("Labels") or {}, instance, in_use=used):
            continue
        try:
            remove(client, container["Id"], started=container.get("State") != "created")
            count += 1
        except SandboxUnavailable as error:
            failure = error
    if failure is not None:
        raise failure
    return count


def _is_orphan(found: Mapping[str, str], instance: str, *, in_use: bool) -> bool:
    if found.get(_INSTANCE) == instance:
        return not in_use
    match creator.is_running(found.get(_OWNER, "")):
        case None:
            expires = found.get(_EXPIRES, "")
            return not expires.isdigit() or int(expires) < time.time()
        case running:
            return not running
