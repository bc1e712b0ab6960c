"""Connects to the Docker Engine, and translates its errors."""

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
    """Connect to the first engine that answers. Raises SandboxUnavailable, NotConfigured. Blocking."""
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
            problems.append(f"{path}: {_root_cause(error)}")
            _clear_frames(error)
    raise SandboxUnavailable("no engine answers: " + "; ".join(problems))


def _root_cause(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the engine's errors into SandboxUnavailable whose message begins with `what`."""
    try:
        yield
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        _clear_frames(error)
        raise SandboxUnavailable(f"{what}: {error}") from None


def _clear_frames(error: BaseException | None) -> None:
    """Clear the frames of an error and of its causes, because the SDK leaves half-open sockets in them."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def has_image(client: docker.APIClient, image: str) -> bool:
    """Tell whether the engine has the image. Raises SandboxUnavailable. Blocking."""
    with translated(f"image {image}"):
        try:
            image_id(client, image)
        except docker.errors.ImageNotFound:
            return False
    return True


def image_id(client: docker.APIClient, image: str) -> str:
    """Return the id of the image that the tag names now. Raises the SDK's errors. Blocking."""
    return str(client.inspect_image(image)["Id"])  # type: ignore[no-untyped-call]  # the stubs have no types
