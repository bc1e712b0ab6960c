"""Connects to the Docker Engine, and translates its errors."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests

from contracts.base.errors import SandboxUnavailable
from sandbox_runner.docker.address import socket_paths
from sandbox_runner.engine.settings import SandboxSettings

_TIMEOUT_SECONDS = 60


def connect(settings: SandboxSettings) -> docker.APIClient:
    """Connect to the first engine that answers. Raises SandboxUnavailable, NotConfigured. Blocking."""
    problems = []
    for path in socket_paths(settings.docker_host):
        try:
            return docker.APIClient(base_url=f"unix://{path}", version="auto", timeout=_TIMEOUT_SECONDS)
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
