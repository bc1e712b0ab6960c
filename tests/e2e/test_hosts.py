"""Several machines: workers in network namespaces of their own, with Redis and the store by URL only."""

from __future__ import annotations

import json
from typing import Any

from artifacts import create_store
from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import COMMAND, Cli
from tests.e2e.person import answering, steps
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


MADE = {
    "repo/good.py": "def add(a, b):\n    return a + b\n",
    "repo/tests/test_old.py": "from made import SUM\n\n\ndef test_old():\n    assert SUM == 3\n",
    "repo/.gitignore": "made.py\n",
    "repo/.multi-agent.toml": 'setup = "sh make.sh"\n',
    "repo/make.sh": "echo SUM = 3 > made.py\n",
}
OUT = "def double(x):\n    return 2 * x\n"
NEW = "from made import SUM\nfrom out import double\n\n\ndef test_new():\n    assert double(2) == SUM + 1\n"
PLAN: dict[str, Any] = {
    "todo_list_id": "p",
    "request": "Make double",
    "items": [
        {"task_id": "code", "title": "code", "agent_role": "coder", "output_artifacts": ["out.py"]},
        {
            "task_id": "check",
            "title": "check",
            "agent_role": "tester",
            "dependencies": ["code"],
            "output_artifacts": ["tests/test_new.py"],
            "acceptance_criteria": {"tests": [{"cmd": "pytest tests"}]},
        },
    ],
}


def test_a_worker_works_in_a_repository_at_a_sandbox_host_of_another_machine(cli: Cli) -> None:
    """The worker has no sandbox, and the host no key; the environment is built where the host is."""
    store = create_store(cli.folder / "store" / "artifacts.git")
    logs, prompts = cli.folder / "logs", cli.folder / "prompts"
    logs.mkdir()
    cli.write({**MADE, "plan.json": json.dumps(PLAN)})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")
    script = {"coder.step": steps("made", out=OUT), "tester.step": steps("tested", tests__test_new=NEW)}
    with joined_hosts(2) as hosts, answering(prompts, script):
        redis_url = hosts.start_services(store, cli.env, logs)
        env = {**cli.env, "REDIS_URL": redis_url, "MULTI_AGENT_ARTIFACT_STORE": str(store)}
        hosts.start(hosts.central, [*COMMAND, "orchestrator"], env, cli.folder, logs / "orchestrator.log")
        worker = [*COMMAND, "worker", "--sandbox", "host", "--model", f"manual:{prompts}"]
        host = [*COMMAND, "worker", "--role", "sandbox", "--sandbox", "namespaces"]
        for machine, name, argv in ((hosts.remotes[0], "worker", worker), (hosts.remotes[1], "host", host)):
            home = cli.folder / name
            home.mkdir()
            home.chmod(0o755)
            env = {
                "PATH": cli.env["PATH"],
                "HOME": str(home),
                "REDIS_URL": redis_url,
                "MULTI_AGENT_ARTIFACT_STORE": f"git://{CENTRAL}/artifacts.git",
            }
            hosts.start(machine, argv, env, home, logs / f"{name}.log")
        cli.until((cli.folder / ".multi_agent" / "state.db").exists, "the orchestrator's database")
        submitted = cli("submit", "plan.json", "--repo", "repo", MULTI_AGENT_ARTIFACT_STORE=str(store))
        name = submitted.stdout.strip()
        watched = cli("watch", name, code=None, MULTI_AGENT_ARTIFACT_STORE=str(store))
    told = {path.stem: path.read_text() for path in logs.glob("*.log")}
    assert watched.returncode == 0, watched.stdout + told["worker"][-3000:] + told["host"][-3000:]
    assert "workflow: completed" in watched.stdout
    assert "check: succeeded" in watched.stdout
    assert told["host"].count('"call": "open"') >= 2, told["host"]
    assert [folder.name for folder in cli.folder.glob("*/.multi_agent/environments")] == ["environments"]
    assert (cli.folder / "host/.multi_agent/environments").is_dir()
