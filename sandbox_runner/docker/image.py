"""Builds the container image, from the Python image of a registry or from Debian packages alone."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Literal

from contracts.base.errors import SandboxUnavailable
from contracts.base.languages import LANGUAGES
from sandbox_runner.docker.api import connect, image_id, translated
from sandbox_runner.engine.settings import SandboxSettings

# A workspace has `.git`.
PACKAGES = ",".join(("git", *(package for one in LANGUAGES for package in one.image_packages)))
_COMMANDS = """\
ln -s /usr/bin/python3 "$1/usr/local/bin/python"
printf '#!/bin/sh\\nexec python -m pytest "$@"\\n' > "$1/usr/local/bin/pytest"
chmod 755 "$1/usr/local/bin/pytest"
rm -rf "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/locale"
"""
_FALLBACK_SUITE = "stable"


async def build_image(
    settings: SandboxSettings, source: Literal["registry", "debian"] = "registry", base: str | None = None
) -> str:
    """Build `settings.image` and return its id.

    "registry" builds context/Dockerfile; `base` replaces its base image. "debian" needs mmdebstrap on this
    machine and a Debian mirror, but no registry. Raises SandboxUnavailable with the reason.
    """
    if source == "registry":
        return await asyncio.to_thread(_build, settings, base)
    with tempfile.TemporaryDirectory(prefix="multi-agent-image-") as folder:
        tarball = Path(folder) / "image.tar"
        await debian_tarball(tarball)
        return await import_tarball(settings, tarball)


def _build(settings: SandboxSettings, base: str | None) -> str:
    client = connect(settings)
    folder = resources.files("sandbox_runner.docker") / "context"
    try:
        with resources.as_file(folder) as path, translated(f"building {settings.image}"):
            arguments = {"BASE": base} if base else {}
            last = ""
            for line in client.build(
                path=str(path), tag=settings.image, buildargs=arguments, rm=True, decode=True
            ):
                if "error" in line:
                    raise SandboxUnavailable(f"building {settings.image}: {line['error']}")
                last = line.get("stream", "").strip() or last
            return image_id(client, settings.image)
    finally:
        client.close()


async def debian_tarball(target: Path) -> None:
    """Write a root file system of Debian packages to the tar file `target`. Raises SandboxUnavailable."""
    program = shutil.which("mmdebstrap")
    if program is None:
        raise SandboxUnavailable("mmdebstrap is not on PATH: apt install mmdebstrap")
    options = ["--variant=minbase", f"--include={PACKAGES}", f"--customize-hook={_COMMANDS}", "--quiet"]
    process = await asyncio.create_subprocess_exec(
        program,
        *options,
        _suite(),
        str(target),
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        _, complaints = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if process.returncode:
        raise SandboxUnavailable(f"mmdebstrap: {complaints.decode('utf-8', 'replace')[-1_000:].strip()}")


def _suite() -> str:
    """Return the Debian release of this machine, because its keys are installed."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return _FALLBACK_SUITE
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return (
        values.get("VERSION_CODENAME", _FALLBACK_SUITE) if values.get("ID") == "debian" else _FALLBACK_SUITE
    )


async def import_tarball(settings: SandboxSettings, tarball: Path) -> str:
    """Make `settings.image` from a root file system and return its id. Raises SandboxUnavailable."""
    return await asyncio.to_thread(_import, settings, tarball)


def _import(settings: SandboxSettings, tarball: Path) -> str:
    client = connect(settings)
    repository, _, tag = settings.image.partition(":")
    try:
        with translated(f"importing {settings.image}"):
            client.import_image_from_file(
                str(tarball), repository=repository, tag=tag or "latest", changes=["USER 65534:65534"]
            )
            return image_id(client, settings.image)
    finally:
        client.close()
