"""Several machines: workers in network namespaces of their own, with Redis and the store by URL only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from artifacts import create_store
from tests.e2e.conftest import COMMAND, Cli
from tests.support import need

CENTRAL, REMOTE = "10.213.77.1", "10.213.77.2"


class Hosts:
    """Two machines, `central` and `remote`, joined by one cable."""

    def __init__(self) -> None:
        suffix = str(os.getpid())[-6:]
        self.central, self.remote = f"mac{suffix}", f"mar{suffix}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def up(self) -> None:
        near, far = f"v{self.central}", f"v{self.remote}"
        for name in (self.central, self.remote):
            ip("netns", "add", name)
        ip(
            "link",
            "add",
            near,
            "netns",
            self.central,
            "type",
            "veth",
            "peer",
            "name",
            far,
            "netns",
            self.remote,
        )
        for name, device, address in ((self.central, near, CENTRAL), (self.remote, far, REMOTE)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "link", "set", "lo", "up")

    def start(self, host: str, argv: list[str], env: dict[str, str], folder: Path, log: Path) -> None:
        with log.open("wb") as out:
            command = ["ip", "netns", "exec", host, *argv]
            self.processes.append(
                subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True)
            )

    def down(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
            process.wait()
        for name in (self.central, self.remote):
            ip("netns", "del", name)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    need(os.getuid() == 0 and bool(shutil.which("ip")), "network namespaces need root and iproute2")
    made = Hosts()
    made.up()
    yield made
    made.down()


def test_workers_on_another_machine_need_two_urls_and_nothing_else(cli: Cli, hosts: Hosts) -> None:
    need(bool(shutil.which("redis-server")), "redis-server is not installed")
    store = create_store(cli.folder / "store" / "artifacts.git")
    (store / "git-daemon-export-ok").touch()
    logs = cli.folder / "logs"
    logs.mkdir()
    redis = ["redis-server", "--bind", CENTRAL, "--port", "6379", "--requirepass", "secret", "--save", ""]
    daemon = [
        "git",
        "daemon",
        f"--base-path={store.parent}",
        f"--listen={CENTRAL}",
        "--enable=receive-pack",
        "--reuseaddr",
    ]
    hosts.start(hosts.central, [*redis, "--daemonize", "no"], cli.env, logs, logs / "redis.log")
    hosts.start(hosts.central, daemon, cli.env, logs, logs / "git.log")
    redis_url = f"redis://:secret@{CENTRAL}:6379/0"
    central_env = {**cli.env, "REDIS_URL": redis_url, "MULTI_AGENT_ARTIFACT_STORE": str(store)}
    hosts.start(hosts.central, [*COMMAND, "orchestrator"], central_env, cli.folder, logs / "orchestrator.log")
    for number in (1, 2):
        home = cli.folder / f"machine-{number}"
        home.mkdir()
        remote_env = {
            "PATH": cli.env["PATH"],
            "HOME": str(home),
            "REDIS_URL": redis_url,
            "MULTI_AGENT_ARTIFACT_STORE": f"git://{CENTRAL}/artifacts.git",
        }
        hosts.start(hosts.remote, [*COMMAND, "worker"], remote_env, home, logs / f"worker-{number}.log")
    plan = cli.json("plan", "Create a simple SMA crossover strategy")["path"]
    cli.until((cli.folder / ".multi_agent" / "state.db").exists, "the orchestrator's database")
    name = cli("submit", plan).stdout.strip()
    watched = cli("watch", name, code=None, MULTI_AGENT_ARTIFACT_STORE=str(store))
    assert watched.returncode == 0, watched.stdout + (logs / "worker-1.log").read_text()[-3000:]
    cli("artifacts", name, "--checkout", "result", MULTI_AGENT_ARTIFACT_STORE=str(store))
    assert (cli.folder / "result" / "sma_crossover" / "strategy.py").exists()
    for number in (1, 2):
        assert not list((cli.folder / f"machine-{number}").rglob("state.db"))
