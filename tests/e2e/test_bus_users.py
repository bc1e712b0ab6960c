"""A whole run on a Redis where every process is a user of its own."""

from __future__ import annotations

from artifacts import create_store
from contracts.bus.access import BusUser
from tests.e2e.conftest import Cli
from tests.e2e.test_example import REQUEST
from tests.support.bus_users import guarded_redis


def test_every_process_does_its_work_as_its_user(cli: Cli) -> None:
    store = {"MULTI_AGENT_ARTIFACT_STORE": str(create_store(cli.folder / "artifacts.git"))}
    with guarded_redis() as guarded:
        cli.env |= {**store, "REDIS_URL": guarded.url_of(BusUser.COMMAND_LINE)}
        plan = cli.json("plan", REQUEST)["path"]
        cli.start("orchestrator", REDIS_URL=guarded.url_of(BusUser.ORCHESTRATOR))
        cli.start("worker", "--sandbox", "host", REDIS_URL=guarded.url_of(BusUser.WORKER))
        host = ("worker", "--role", "sandbox", "--sandbox", "namespaces")
        cli.start(*host, REDIS_URL=guarded.url_of(BusUser.SANDBOX_HOST))
        cli.until((cli.folder / ".multi_agent" / "state.db").exists, "the orchestrator's database")
        workflow = cli("submit", plan).stdout.strip()
        watched = cli("watch", workflow, code=None)
        assert watched.returncode == 0, watched.stdout + watched.stderr
        cli("verify")
        with guarded.client() as client:
            refused = client.execute_command("ACL", "LOG")
    said = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in refused]
    # Both are asked for in case they can be had; neither is missed.
    assert {one[b"object"] for one in said} <= {b"config|get", b"client|setinfo"}
