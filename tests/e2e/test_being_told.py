"""What serves a folder is measured as one, and tells commands and web addresses what happens."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from multi_agent.runtime.observing.hooks import read_hook
from tests.e2e.conftest import Cli

REQUEST = "Create a simple SMA crossover strategy"


class Listener(HTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.heard: list[dict[str, object]] = []
        super().__init__(("127.0.0.1", 0), _Keep)


class _Keep(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fetched(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_up_serves_one_set_of_metrics_and_tells_of_ends(cli: Cli, listener: Listener) -> None:
    base = f"http://127.0.0.1:{free_port()}"
    hook = cli.folder / "hook.py"
    hook.write_text("import sys\nwith open('told.jsonl', 'a') as file: print(sys.stdin.read(), file=file)\n")
    url = f"http://127.0.0.1:{listener.server_port}/hook"
    port = base.rpartition(":")[2]
    cli.start("up", "--metrics-port", port, "--on-event", f"python3 {hook}", "--on-event", url)
    cli.until(lambda: cli.json("status", code=0)["served"] if _exists(cli) else False, "served", 90)
    cli("run", REQUEST)

    def complete() -> bool:
        text = fetched(f"{base}/metrics")[1]
        return 'status="succeeded"' in text and "multi_agent_dispatches_total 7.0" in text

    cli.until(complete, "the orchestrator and the workers are counted")
    assert fetched(f"{base}/")[0] == fetched(f"{base}/other")[0] == 404
    told = cli.folder / "told.jsonl"
    cli.until(lambda: told.exists() and bool(listener.heard), "both are told")
    [said] = [json.loads(line) for line in told.read_text().splitlines()]
    assert listener.heard == [said]
    assert said["event"] == "workflow.completed"
    [ended] = [
        one for one in map(json.loads, cli("logs").stdout.splitlines()) if one["event"] == "workflow_ended"
    ]
    assert (ended["workflow_id"], ended["status"]) == (said["workflow_id"], "completed")


def _exists(cli: Cli) -> bool:
    return Path(cli.folder / ".multi_agent" / "state.db").exists()


def test_a_metrics_port_in_use_is_named_before_anything_starts(cli: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        told = cli("up", "--metrics-port", port, code=2).stderr
    assert f"metrics cannot be served at 127.0.0.1:{port}" in told
    assert "--metrics-port" in told


@pytest.mark.parametrize("hook", ["", "ftp://h/x", "say 'x", "http://[::1/x", "http://h:abc/", "http:///x"])
def test_what_is_no_hook_is_refused(hook: str) -> None:
    with pytest.raises(Exception, match="--on-event"):
        read_hook(hook)


@pytest.mark.parametrize(
    ("hook", "shown"),
    [("HTTPS://user:secret@h.example/secret", "https://h.example"), ("tell --token secret", "tell")],
)
def test_what_may_be_secret_in_a_hook_is_not_shown(hook: str, shown: str) -> None:
    assert read_hook(hook).shown == shown


def test_watch_prints_one_object_a_change_and_what_was_decided_is_anchored(
    cli: Cli, listener: Listener
) -> None:
    cli("run", REQUEST, MULTI_AGENT_AUDIT_HOOK=f"http://127.0.0.1:{listener.server_port}/hook")
    [last] = [json.loads(line) for line in cli("watch", "--json").stdout.splitlines()]
    assert last["status"] == "completed"
    assert {task["status"] for task in last["tasks"]} == {"succeeded"}
    log = cli.json("audit", "verify")
    assert (log["bad"], log["rows"], log["anchors"], log["unanchored"]) == ([], 1, 1, 0)
    heads = {one["chain"]: [one["number"], one["hash"]] for one in log["heads"]}
    assert [(told["event"], told["heads"]) for told in listener.heard] == [("audit.anchored", heads)]
