"""A private Docker Engine for tests, with the sandbox image in it.

Needs root and the packages `docker.io` and `mmdebstrap`. It has its own data, socket and process ids and no
network; all test processes of one run share it, the last to leave stops it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import inspect
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contracts.base.errors import SandboxUnavailable
from sandbox_runner import SandboxSettings
from sandbox_runner.docker import image
from sandbox_runner.docker.api import connect, has_image
from tests.support import need

IMAGE = "multi-agent-sandbox:test"
_START_SECONDS = 30
_STOP_SECONDS = 30


def missing() -> str:
    """Why no private engine can be had here; empty when it can."""
    if os.geteuid() != 0:
        return "a private Docker Engine needs root"
    absent = [name for name in ("dockerd", "mmdebstrap") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@contextmanager
def shared_engine() -> Iterator[str]:
    """The `unix://` address of a running engine that holds IMAGE."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"pid{os.getpid()}")
    folder = Path(tempfile.gettempdir()) / f"ma-docker-{run[:12]}"
    folder.mkdir(exist_ok=True)
    try:
        with _locked(folder):
            users = _count(folder, +1)
            if users == 1:
                _start(folder)
        yield _address(folder)
    finally:
        with _locked(folder):
            if _count(folder, -1) == 0:
                _stop(folder)


def needed_engine() -> Iterator[str]:
    """For a fixture: the address, where an engine can be had."""
    reason = missing()
    need(not reason, reason)
    with shared_engine() as address:
        yield address


@contextmanager
def private_engine() -> Iterator[Path]:
    """The folder (socket `s`, process id `pid`) of a further engine that the caller may kill."""
    folder = Path(tempfile.mkdtemp(prefix="ma-docker-own-"))
    try:
        _start(folder)
        yield folder
    finally:
        _stop(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with Path(f"{folder}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _count(folder: Path, step: int) -> int:
    path = folder / "users"
    users = (int(path.read_text()) if path.exists() else 0) + step
    path.write_text(str(users))
    return users


def _address(folder: Path) -> str:
    return f"unix://{folder}/s"


def restart(folder: Path) -> None:
    """kill -9 of the engine in this folder, and start it again. Its containers run on meanwhile."""
    engine, helper = folder / "pid", folder / "exec/containerd/containerd.pid"
    for pid_file in (engine, helper):
        pid = int(pid_file.read_text())
        with suppress(ProcessLookupError):  # the helper ends with the engine
            os.kill(pid, signal.SIGKILL)
        while _alive(pid):
            time.sleep(0.05)
        # One that nobody has waited for yet would pass for a running one.
        pid_file.unlink()
    _launch(folder)


def _start(folder: Path) -> None:
    _launch(folder)
    asyncio.run(image.import_tarball(_settings(folder), _tarball()))


def _settings(folder: Path) -> SandboxSettings:
    return SandboxSettings(docker_host=_address(folder), image=IMAGE)


def _launch(folder: Path) -> None:
    command = ["dockerd", "--host", _address(folder), "--pidfile", f"{folder}/pid", "--bridge=none"]
    command += ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--iptables=false"]
    command += ["--ip-forward=false", "--ip-masq=false", "--cgroup-parent", f"/{folder.name}"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(_settings(folder)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd does not start:\n{(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.1)
    process.returncode = 0  # it is stopped by process id, by whichever test process is the last


def _answers(settings: SandboxSettings) -> bool:
    try:
        client = connect(settings)
    except Exception:
        return False
    try:
        has_image(client, settings.image)
    except SandboxUnavailable:
        return False
    else:
        return True
    finally:
        client.close()


def _tarball() -> Path:
    """The image, made once for this recipe and kept between runs."""
    recipe = hashlib.sha256((inspect.getsource(image) + image.PACKAGES).encode()).hexdigest()[:12]
    for cache in (
        Path.home() / ".cache" / "multi-agent-tests",
        Path(tempfile.gettempdir()) / "multi-agent-tests",
    ):
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        place = cache / f"sandbox-{recipe}.tar"
        if not place.exists():
            unfinished = cache / f".unfinished-{os.getpid()}.tar"
            try:
                asyncio.run(image.debian_tarball(unfinished))
                unfinished.rename(place)
            finally:
                unfinished.unlink(missing_ok=True)
        return place
    raise RuntimeError("no folder to keep the sandbox image in")


def _stop(folder: Path) -> None:
    with suppress(OSError, ValueError):
        _terminate(int((folder / "pid").read_text()))
    # After kill -9 of the engine its own children run on; all have the folder in their command line.
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes() and process.name != str(
                os.getpid()
            ):
                os.kill(int(process.name), signal.SIGKILL)
    _clear(folder)


def _clear(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted(mounts, reverse=True):
        if mount.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mount], check=False)
    roots = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
    for group in [root / folder.name for root in roots if (root / folder.name).is_dir()]:
        _remove_group(group)
    shutil.rmtree(folder)
    Path(f"{folder}.lock").unlink(missing_ok=True)


def _remove_group(group: Path) -> None:
    for process in [pid for path in group.rglob("cgroup.procs") for pid in path.read_text().split()]:
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
    for folder in sorted((path for path in [group, *group.rglob("*")] if path.is_dir()), reverse=True):
        deadline = time.monotonic() + _STOP_SECONDS
        while True:
            try:
                folder.rmdir()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _terminate(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # another test process started it
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
