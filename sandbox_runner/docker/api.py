"""The engine's API: finding it, and its errors as ours."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests

from contracts.base.errors import NotConfigured, SandboxUnavailable
from sandbox_runner.engine.settings import SandboxSettings

_TIMEOUT_SECONDS = 60


def connect(settings: SandboxSettings) -> docker.APIClient:
    """A client of an engine that answers. Raises SandboxUnavailable, NotConfigured. Blocking."""
    if settings.docker_host:
        addresses = [settings.docker_host]
    else:
        addresses = ["unix:///var/run/docker.sock", f"unix:///run/user/{os.geteuid()}/docker.sock"]
    problems = []
    for address in addresses:
        if not address.startswith("unix://"):
            raise NotConfigured(f"docker_host {address!r}: must be a unix:// address of this machine")
        path = address.removeprefix("unix://")
        if not os.path.exists(path):
            problems.append(f"{path} does not exist")
            continue
        try:
            return docker.APIClient(base_url=address, version="auto", timeout=_TIMEOUT_SECONDS)
        except (docker.errors.DockerException, requests.RequestException) as error:
            problems.append(f"{path}: {_innermost(error)}")
            _let_go(error)
    raise SandboxUnavailable("no engine answers: " + "; ".join(problems))


def _innermost(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """The engine's errors as SandboxUnavailable that begins with `what`."""
    try:
        yield
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        _let_go(error)
        raise SandboxUnavailable(f"{what}: {error}") from None


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of an error and its causes hold: the SDK leaves half-open sockets there."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def has_image(client: docker.APIClient, image: str) -> bool:
    """Whether the engine holds the image. Blocking."""
    with translated(f"image {image}"):
        try:
            image_id(client, image)
        except docker.errors.ImageNotFound:
            return False
    return True


def image_id(client: docker.APIClient, image: str) -> str:
    """The engine's name for what the tag means now. Blocking; raises the SDK's errors."""
    return str(client.inspect_image(image)["Id"])  # type: ignore[no-untyped-call]  # the stubs have no types
