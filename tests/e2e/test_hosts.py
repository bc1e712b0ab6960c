"""Several machines: workers in network namespaces of their own, with Redis and the store by URL only."""

from __future__ import annotations

from artifacts import create_store
from tests.e2e.conftest import COMMAND, Cli
from tests.support.hosts import CENTRAL, joined_hosts


def test_workers_on_another_machine_need_two_urls_and_nothing_else(cli: Cli) -> None:
    store = create_store(cli.folder / "store" / "artifacts.git")
    logs = cli.folder / "logs"
    logs.mkdir()
    with joined_hosts(1) as hosts:
        redis_url = hosts.start_services(store, cli.env, logs)
        central_env = {**cli.env, "REDIS_URL": redis_url, "MULTI_AGENT_ARTIFACT_STORE": str(store)}
        hosts.start(
            hosts.central, [*COMMAND, "orchestrator"], central_env, cli.folder, logs / "orchestrator.log"
        )
        for number in (1, 2):
            home = cli.folder / f"machine-{number}"
            home.mkdir()
            remote_env = {
                "PATH": cli.env["PATH"],
                "HOME": str(home),
                "REDIS_URL": redis_url,
                "MULTI_AGENT_ARTIFACT_STORE": f"git://{CENTRAL}/artifacts.git",
            }
            hosts.start(
                hosts.remotes[0], [*COMMAND, "worker"], remote_env, home, logs / f"worker-{number}.log"
            )
        plan = cli.json("plan", "Create a simple SMA crossover strategy")["path"]
        cli.until((cli.folder / ".multi_agent" / "state.db").exists, "the orchestrator's database")
        name = cli("submit", plan).stdout.strip()
        watched = cli("watch", name, code=None, MULTI_AGENT_ARTIFACT_STORE=str(store))
    assert watched.returncode == 0, watched.stdout + (logs / "worker-1.log").read_text()[-3000:]
    cli("artifacts", name, "--checkout", "result", MULTI_AGENT_ARTIFACT_STORE=str(store))
    assert (cli.folder / "result" / "sma_crossover" / "strategy.py").exists()
    for number in (1, 2):
        assert not list((cli.folder / f"machine-{number}").rglob("state.db"))
