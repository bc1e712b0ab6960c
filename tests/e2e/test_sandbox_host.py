"""Workers that ask a sandbox host: the recorded example, and what those workers loaded and called."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from multi_agent.runtime.forking.process_tree import children_of
from tests.e2e.conftest import Cli
from tests.e2e.test_example import REQUEST, check
from tests.support import need
from tests.support.docker_engine import IMAGE, missing, shared_engine

SPY = """
import json, os, sys, threading, time
from agents import AgentResult, agent

@agent(role="spy")
class Spy:
    async def run(self, task):
        return AgentResult()

def tell():
    place = f"{os.environ['SPY_FOLDER']}/{os.getpid()}.json"
    while True:
        with open(place + ".new", "w") as file:
            json.dump({"modules": sorted(sys.modules)}, file)
        os.replace(place + ".new", place)
        time.sleep(0.2)

os.register_at_fork(after_in_child=lambda: threading.Thread(target=tell, daemon=True).start())
"""


@contextmanager
def engine_socket(path: Path) -> Iterator[set[int]]:
    """A socket where a Docker Engine would listen; the ids of the processes that called."""
    callers: set[int] = set()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    found = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                    callers.add(struct.unpack("3i", found)[0])

    thread = threading.Thread(target=serve)
    thread.start()
    yield callers
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def children(pid: int) -> dict[int, list[str]]:
    """Command lines of the children of a process."""
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")
    return found


def test_only_the_sandbox_host_knows_an_engine(cli: Cli, tmp_path: Path) -> None:
    """`up --sandbox host`: the example is built, and no worker has loaded docker or called its socket."""
    spied = tmp_path / "spied"
    spied.mkdir()
    cli.write({"spy.py": SPY})
    plan = cli.json("plan", REQUEST)["path"]
    with engine_socket(tmp_path / "engine.sock") as callers:
        env = {"DOCKER_HOST": f"unix://{tmp_path / 'engine.sock'}", "SPY_FOLDER": str(spied)}
        up = cli.start("up", "--sandbox", "host", "--agents", "spy", **env)
        cli.until((cli.folder / ".multi_agent" / "state.db").exists, "the orchestrator's database")
        workflow = cli("submit", plan).stdout.strip()
        watched = cli("watch", workflow, code=None)
        assert watched.returncode == 0, watched.stdout + watched.stderr
        forks = "multi_agent.cli.processes.forked"
        (server,) = [pid for pid, argv in children(up.pid).items() if forks in argv]
        processes = children(server)
        workers = {pid for pid, argv in processes.items() if "worker" in argv and "sandbox" not in argv}
        hosts = {pid for pid, argv in processes.items() if "sandbox" in argv}
        assert (len(workers), len(hosts)) == (2, 1)
        servers = children_of(workers)
        slots = children_of(servers)
        assert (len(servers), len(slots)) == (2, 6), "two for tasks and one for suspects each"
        url = json.loads((cli.folder / ".multi_agent" / "stack.lock").read_text())["redis_url"]
        findings = {one["name"]: one for one in cli.json("doctor", "--sandbox", "host", REDIS_URL=url)}
        assert findings["sandbox hosts"]["found"]
        shown = cli.json("status")
        assert ["sandbox"] in [worker["roles"] for worker in shown["workers"]]
        up.terminate()
        up.wait(30)
    told = {int(path.stem): json.loads(path.read_text()) for path in spied.glob("*.json")}
    assert slots <= told.keys(), (slots, told.keys())
    for pid in slots:
        assert "agents.worker.worker" in told[pid]["modules"]
        assert [name for name in told[pid]["modules"] if name.partition(".")[0] == "docker"] == []
    assert callers & (workers | servers | slots) == set()
    # The host looked for its strongest sandbox, so the socket would have noticed a worker that did.
    assert callers & hosts == hosts


def test_the_example_runs_with_a_sandbox_host(cli: Cli) -> None:
    summary = cli.json("run", REQUEST, "--sandbox", "host", MULTI_AGENT_HOST_SANDBOX="namespaces")
    check(summary)
    assert summary["sandbox"] == "namespaces"
    log = (cli.folder / ".multi_agent" / "logs" / "sandbox-host.log").read_text()
    assert log.count("program_finished") >= 2


@pytest.mark.slow
def test_the_example_runs_with_docker_behind_a_sandbox_host(cli: Cli) -> None:
    need(not missing(), missing())
    with shared_engine() as engine:
        summary = cli.json(
            "run",
            REQUEST,
            "--sandbox",
            "host",
            MULTI_AGENT_HOST_SANDBOX="docker",
            MULTI_AGENT_SANDBOX_IMAGE=IMAGE,
            DOCKER_HOST=engine,
        )
    check(summary)
    assert summary["sandbox"] == "docker"
