"""Settings of a backend that nobody else uses, for the commands beside the tests."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sandbox_runner import SandboxSettings
from tests.support.docker_engine import IMAGE, missing, private_engine

BACKENDS = ("docker", "bubblewrap", "namespaces")


@contextmanager
def private_settings(backend: str) -> Iterator[SandboxSettings]:
    """Of a backend with a toolbox, and an engine if it needs one, of its own."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ma-sandbox-"))
        engine = stack.enter_context(private_engine()) if backend == "docker" else None
        host = f"unix://{engine}/s" if engine else None
        yield SandboxSettings(backend=backend, docker_host=host, image=IMAGE, toolbox=Path(folder, "toolbox"))


def add_backends(parser: argparse.ArgumentParser) -> None:
    """The option `--backend`, which may be repeated; all are the default."""
    parser.add_argument("--backend", choices=BACKENDS, action="append")


def wanted_backends(options: argparse.Namespace) -> tuple[str, ...]:
    """The backends asked for. Ends the process when one cannot be had here."""
    backends = tuple(options.backend or BACKENDS)
    if "docker" in backends and missing():
        sys.exit(f"docker: {missing()}")
    return backends
