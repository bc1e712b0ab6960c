"""Several machines: network namespaces of their own, each on a cable that can be cut."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import need

CENTRAL = "10.213.0.1"
STOP_SECONDS = 15


class Hosts:
    """A machine `central`, which all reach at CENTRAL, and `remotes`, each joined to it by its own cable."""

    def __init__(self, remotes: int) -> None:
        suffix = str(os.getpid())[-6:]
        self.central = f"mac{suffix}"
        self.remotes = [f"ma{number}r{suffix}" for number in range(1, remotes + 1)]
        self._processes: list[subprocess.Popen[bytes]] = []

    def up(self) -> None:
        """Make the machines and lay the cables."""
        for name in (self.central, *self.remotes):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", self.central, "addr", "add", f"{CENTRAL}/32", "dev", "lo")
        for number, remote in enumerate(self.remotes, 1):
            self._join(remote, f"10.213.{number}")

    def _join(self, remote: str, network: str) -> None:
        near, far = f"c{remote}", f"r{remote}"
        cable = ("type", "veth", "peer", "name", far, "netns", remote)
        _ip("link", "add", near, "netns", self.central, *cable)
        for name, device, address in ((self.central, near, 1), (remote, far, 2)):
            _ip("-n", name, "addr", "add", f"{network}.{address}/24", "dev", device)
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", remote, "route", "add", f"{CENTRAL}/32", "via", f"{network}.1")

    def cut(self, remote: str) -> None:
        """Whatever is sent either way is lost, without a word to anybody, until `heal`."""
        _ip("-n", self.central, "link", "set", f"c{remote}", "down")

    def heal(self, remote: str) -> None:
        """End a `cut`."""
        _ip("-n", self.central, "link", "set", f"c{remote}", "up")

    def start(self, host: str, argv: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> None:
        """Start a program on a machine; `down` ends it."""
        with log.open("wb") as out:
            command = ["ip", "netns", "exec", host, *argv]
            self._processes.append(
                subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True)
            )

    def start_services(self, store: Path, env: Mapping[str, str], logs: Path) -> str:
        """Start Redis, whose URL is returned, and a Git daemon for the store at git://CENTRAL/NAME."""
        need(bool(shutil.which("redis-server")), "redis-server is not installed")
        redis = ["redis-server", "--bind", CENTRAL, "--requirepass", "secret", "--save", ""]
        git = ["git", "daemon", f"--base-path={store.parent}", f"--listen={CENTRAL}"]
        (store / "git-daemon-export-ok").touch()
        self.start(self.central, redis, env, logs, logs / "redis.log")
        self.start(self.central, [*git, "--enable=receive-pack", "--reuseaddr"], env, logs, logs / "git.log")
        return f"redis://:secret@{CENTRAL}:6379/0"

    def run(
        self, host: str, argv: Sequence[str], env: Mapping[str, str], folder: Path, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on a machine to its end."""
        command = ["ip", "netns", "exec", host, *argv]
        return subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=seconds, check=False
        )

    def down(self) -> None:
        """End everything and take the machines away."""
        for process in reversed(self._processes):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()
            process.wait()
        for name in (self.central, *self.remotes):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextmanager
def joined_hosts(remotes: int) -> Iterator[Hosts]:
    """So many remote machines and the central one, while the `with` block runs."""
    need(os.getuid() == 0 and bool(shutil.which("ip")), "network namespaces need root and iproute2")
    made = Hosts(remotes)
    try:
        made.up()
        yield made
    finally:
        made.down()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
