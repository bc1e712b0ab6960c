"""docker-compose.yml, the Dockerfile and the workflows keep what they promise."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from multi_agent.cli import cli
from multi_agent.settings import Settings
from tests.project.documented import ROOT, click_complaint, commands_of, complaint
from tests.support import need
from tests.support.redis_servers import PrivateRedis

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("orchestrator", "worker", "sandbox", "cli")
WATCHING = ("prometheus", "grafana")
UNITS = sorted((ROOT / "monitoring" / "systemd").glob("*.service"))
SOCKET = "/var/run/docker.sock"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_every_network_volume_and_dependency_is_defined() -> None:
    for name, service in SERVICES.items():
        volumes = {volume.split(":")[0] for volume in service.get("volumes", [])} - {SOCKET}
        volumes = {volume for volume in volumes if not volume.startswith("./")}
        assert volumes <= set(COMPOSE["volumes"]), name
        assert set(service.get("networks", ())) <= set(COMPOSE["networks"]), name
        for needed, condition in service.get("depends_on", {}).items():
            ends = SERVICES[needed].get("restart") == "no"
            assert condition == {"condition": f"service_{'completed_successfully' if ends else 'healthy'}"}
            assert ends or "healthcheck" in SERVICES[needed]


@pytest.mark.parametrize("name", ["orchestrator", "worker", "sandbox"])
def test_the_commands_exist(name: str) -> None:
    assert click_complaint(cli, SERVICES[name]["command"]) is None


def test_the_commands_in_its_head_exist() -> None:
    lines = re.findall(
        r"^#   (docker compose run --rm cli .*)$", (ROOT / "docker-compose.yml").read_text("utf-8"), re.M
    )
    assert len(lines) == 3
    for words in commands_of("```sh\n" + "\n".join(lines) + "\n```\n"):
        assert complaint(("multi-agent", *words[5:])) is None


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_is_read(name: str) -> None:
    known = {f"MULTI_AGENT_{field.upper()}" for field in Settings.model_fields}
    for field in Settings.model_fields.values():
        known |= {str(choice) for choice in getattr(field.validation_alias, "choices", ())}
    assert set(SERVICES[name]["environment"]) <= known


def test_workers_hold_no_database_credential_and_reach_no_database() -> None:
    worker = SERVICES["worker"]
    assert "DATABASE_URL" not in worker["environment"]
    assert "POSTGRES" not in str(worker)
    assert not set(worker["networks"]) & set(SERVICES["postgres"]["networks"])


def test_only_who_asks_a_model_reaches_the_outside() -> None:
    inside = {name for name, network in COMPOSE["networks"].items() if (network or {}).get("internal")}
    outside = {name for name, service in SERVICES.items() if set(service.get("networks", ())) - inside}
    assert SERVICES["redis-users"]["network_mode"] == "none"
    assert outside == {"worker", "cli", *WATCHING}
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"prometheus": ["127.0.0.1:9090:9090"], "grafana": ["127.0.0.1:3000:3000"]}


def test_who_watches_is_started_when_asked_for_and_reaches_no_bus_and_no_database() -> None:
    for name in WATCHING:
        assert SERVICES[name]["profiles"] == ["monitoring"]
        assert set(SERVICES[name]["networks"]) == {"metrics", "watching"}
        assert re.fullmatch(r"[1-9]\d*:\d+", SERVICES[name]["user"])
        for mount in SERVICES[name]["volumes"]:
            source, _, rest = mount.partition(":")
            assert source in COMPOSE["volumes"] or ((ROOT / source).is_dir() and rest.endswith(":ro"))


def test_prometheus_finds_each_process_that_serves_metrics() -> None:
    settings = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text("utf-8"))
    [job] = settings["scrape_configs"]
    [found] = job["dns_sd_configs"]
    serving = {name for name, service in SERVICES.items() if "--metrics-port" in service.get("command", ())}
    assert set(found["names"]) == serving
    for name in serving:
        words = SERVICES[name]["command"]
        assert words[words.index("--metrics-port") + 1] == str(found["port"])
        assert words[words.index("--metrics-host") + 1] == "0.0.0.0"
        assert "metrics" in SERVICES[name]["networks"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_its_share_of_the_machine(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])
    assert SERVICES[name]["cpus"] > 0


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_sound_and_starts_what_there_is(path: Path, tmp_path: Path) -> None:
    text = path.read_text("utf-8")
    [command] = re.findall(r"^ExecStart=/opt/multi-agent/bin/multi-agent (.*)$", text, re.MULTILINE)
    assert click_complaint(cli, command.split()) is None
    assert all(f"\n{limit}=" in text for limit in ("MemoryMax", "CPUQuota", "TasksMax", "Restart"))
    need(shutil.which("systemd-analyze") is not None, "systemd-analyze is not installed (Debian: systemd)")
    unit = tmp_path / path.name
    unit.write_text(text.replace("/opt/multi-agent/bin/multi-agent", sys.executable))
    ended = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, [line for line in ended.stderr.splitlines() if path.name in line]) == (0, [])


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert "unconfined" not in str(service)


def test_only_the_sandbox_host_holds_the_engine_and_nothing_else() -> None:
    assert [name for name, service in SERVICES.items() if "docker.sock" in str(service)] == ["sandbox"]
    host = SERVICES["sandbox"]
    assert host["command"][:3] == ["worker", "--role", "sandbox"]
    assert set(host["environment"]) == {"REDIS_URL", "MULTI_AGENT_SANDBOX", "DOCKER_HOST"}
    assert host["networks"] == ["bus", "metrics"]
    assert SERVICES["worker"]["environment"]["MULTI_AGENT_SANDBOX"] == "host"


@pytest.mark.parametrize(
    ("name", "folders"), [("redis", {"/data"}), ("postgres", {"/var/run/postgresql", "/tmp"})]
)
def test_servers_of_others_have_limits_and_are_nobody_special(name: str, folders: set[str]) -> None:
    server = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", server["user"])
    assert server["mem_limit"]
    assert server["pids_limit"]
    assert {mount.split(":")[0] for mount in server["tmpfs"]} == folders
    assert all(COMPOSE["networks"][network] == {"internal": True} for network in server["networks"])
    assert re.fullmatch(rf"\$\{{{name.upper()}_IMAGE:-{name}:[\w.-]+\}}", server["image"])


def test_on_redis_every_kind_of_process_is_its_own_user() -> None:
    users = {
        "orchestrator": "orchestrator",
        "worker": "worker",
        "sandbox": "sandbox-host",
        "cli": "command-line",
    }
    for name, user in users.items():
        variable = f"REDIS_{user.upper().replace('-', '_')}_PASSWORD"
        assert SERVICES[name]["environment"]["REDIS_URL"] == f"redis://{user}:${{{variable}}}@redis:6379/0"
        assert [other for other in SERVICES if variable in str(SERVICES[other])] == ["redis-users", name]


def test_redis_starts_as_compose_says(tmp_path: Path) -> None:
    """The users that the first service writes are those with which the server starts."""
    [script] = SERVICES["redis-users"]["command"]
    secrets = {name: f"{name.lower()}-{'x' * 16}" for name in SERVICES["redis-users"]["environment"]}
    program = Path(sys.executable).parent
    subprocess.run(
        ["sh", "-ec", script.replace("$$", "$").replace("/data", str(tmp_path))],
        env={"PATH": f"{program}:{os.environ['PATH']}", **secrets},
        check=True,
    )
    users = tmp_path / "users.acl"
    assert users.stat().st_mode & 0o777 == 0o640
    assert not any(secret in users.read_text() for secret in secrets.values())
    words = [str(users) if word == "/users/users.acl" else word for word in SERVICES["redis"]["command"]]
    server = PrivateRedis(options=words[1:]).start()
    try:
        password = secrets["REDIS_WORKER_PASSWORD"]
        with redis.Redis(
            unix_socket_path=str(server.socket), protocol=2, username="worker", password=password
        ) as client:
            assert client.info("memory")["maxmemory_policy"] == "noeviction"
            assert client.execute_command("XADD", "agent.results.1", "*", "e", "x")
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command("XADD", "agent.requests.coder", "*", "e", "x")
    finally:
        server.stop()


def test_the_image_runs_as_nobody_special_and_from_the_locks() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    final = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.M)
    assert 'ENTRYPOINT ["multi-agent"]' in final
    installs = [line for line in text.replace("\\\n", " ").splitlines() if "pip install" in line]
    assert installs
    for line in installs:
        for install in line.split("pip install")[1:]:
            assert "--require-hashes" in install or "--no-index" in install
    locks = re.findall(r"requirements/(\w+)\.lock", text)
    assert all((ROOT / "requirements" / f"{name}.lock").exists() for name in locks)


def test_the_build_context_holds_what_the_wheel_needs() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    }
    assert all((ROOT / name).exists() for name in kept)
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}
    assert packages | {"pyproject.toml", "README.md", "LICENSE", "requirements"} == kept


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_its_actions_and_asks_for_no_rights(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 40
        for step in job["steps"]:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))
            for words in commands_of(f"```sh\n{step.get('run', '')}\n```\n"):
                assert complaint(words) is None


def test_ci_tests_every_python_that_is_promised() -> None:
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    promised = set(re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8")))
    for job in ("test", "run"):
        assert set(ci["jobs"][job]["strategy"]["matrix"]["python"]) == promised


def test_ci_has_one_entry() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert lines[-1] == "exec make test </dev/null"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
