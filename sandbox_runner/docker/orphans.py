"""Which containers are nobody's, by their labels, and their removal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Set

import docker

from contracts.base.errors import SandboxUnavailable
from sandbox_runner.docker.api import translated
from sandbox_runner.docker.container import remove
from sandbox_runner.engine import creator

LABEL = "multi-agent.sandbox"
_OWNER, _KEEPER, _EXPIRES = "multi-agent.owner", "multi-agent.keeper", "multi-agent.expires"


def labels(keeper: str, expires: float) -> dict[str, str]:
    """Labels of a container of this process, made by the sandbox object `keeper`.

    expires: seconds since 1970 when it is nobody's if nothing is known of its process.
    """
    return {LABEL: "1", _OWNER: creator.this_process(), _KEEPER: keeper, _EXPIRES: str(int(expires))}


def reap(client: docker.APIClient, keeper: str, in_use: Set[str]) -> int:
    """Remove the containers that nobody uses, started or only created; how many they were. Blocking.

    `in_use` are the names that `keeper` still uses. Those of living processes are never touched, whatever
    the clock says. Raises SandboxUnavailable after it has tried all.
    """
    with translated("reaping"):
        containers = client.containers(all=True, filters={"label": f"{LABEL}=1"})
    count, failure = 0, None
    for container in containers:
        used = any(name.removeprefix("/") in in_use for name in container.get("Names") or ())
        if not _is_orphan(container.get("Labels") or {}, keeper, in_use=used):
            continue
        try:
            remove(client, container["Id"], started=container.get("State") != "created")
            count += 1
        except SandboxUnavailable as error:
            failure = error
    if failure is not None:
        raise failure
    return count


def _is_orphan(found: Mapping[str, str], keeper: str, *, in_use: bool) -> bool:
    if found.get(_KEEPER) == keeper:
        return not in_use
    match creator.lives(found.get(_OWNER, "")):
        case None:
            expires = found.get(_EXPIRES, "")
            return not expires.isdigit() or int(expires) < time.time()
        case lives:
            return not lives
